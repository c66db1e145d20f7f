//! What was said, from a provider's JSON to the messages of the GenAI conventions (v1.41). Each API's way of
//! writing is with its family.
//!
//! Reading is tolerant: whatever JSON comes, it yields messages and never fails, and what is not known
//! becomes a part of its own type. What says nothing is no part: members that a server wrote out although they are
//! empty, and what was encrypted. A body is parsed once and its strings are moved, not copied.
//!
//! A response in one piece becomes the same message as its stream, of which the gateway keeps what was thought, said
//! and refused as one text each, and the calls of tools.

pub(super) mod conversation;
pub(super) mod part;
mod read;
pub(super) mod spec;
pub(super) mod value;

pub(super) use read::read;
