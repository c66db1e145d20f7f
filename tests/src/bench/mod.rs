//! Measures of the real processes, for `make bench`, `make bench-exporter` and `make bench-peers`; a short form
//! of the first two is a test.

pub mod exporter;
pub mod gateway;
pub mod peers;
