//! Texts as the detectors read them: folded to one spelling, with character classes, and with the replacements
//! that they already contain.

pub mod cost;
pub mod fold;
pub mod placeholder;
pub mod slices;
pub mod view;
