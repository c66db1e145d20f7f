//! What every gateway's configuration is read and written with.

pub(super) mod error;
pub(super) mod host;
pub(super) mod keys;
pub(super) mod notes;
pub(super) mod routing;
pub(super) mod value;
