//! Measures of the real processes, for `make bench` and `make bench-exporter`; a short form of them is a test.

pub mod exporter;
pub mod gateway;
