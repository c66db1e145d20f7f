//! What the spans of one event have in common: its facts, its ids, and how attributes are written.

pub(super) mod attempt;
pub(super) mod attributes;
pub(super) mod endings;
pub(super) mod event;
pub(super) mod profile;
mod shorten;
pub(super) mod tree;
