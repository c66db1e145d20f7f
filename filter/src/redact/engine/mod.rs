//! The search itself: one pass over a text in each of its readings.

pub mod compiled;
pub mod cost;
pub mod fold;
pub mod literals;
pub mod scan;
pub mod view;
