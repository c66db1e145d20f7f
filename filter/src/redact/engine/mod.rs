//! The search: one pass over a text in each of its readings.

pub mod compiled;
pub mod counts;
mod literals;
mod plain;
pub mod replace;
mod scan;
mod sink;
