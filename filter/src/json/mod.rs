//! JSON without a tree: scanned, edited byte-exactly, truncated and closed (RFC 8259).

pub mod blob;
pub mod close;
pub mod edit;
pub mod scan;
pub mod truncate;
