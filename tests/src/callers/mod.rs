//! Who calls Weir: HTTP clients, SDKs in Python, a browser, and a gateway's worker at ingest.

pub mod browser;
pub mod client;
pub mod python;
pub mod source;
