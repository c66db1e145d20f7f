//! Who calls Weir: HTTP clients, SDKs in Python, a browser, and a gateway's worker at ingest.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

pub mod browser;
pub mod client;
pub mod python;
pub mod source;
