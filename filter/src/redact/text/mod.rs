//! A text as the detectors read it: folded to one spelling, with character classes, and with the replacements
//! that it already holds.

pub mod cost;
pub mod fold;
pub mod placeholder;
pub mod view;
