//! What every configuration of Weir is read with, in the filter, the exporter and the renderer alike.
//!
//! An error names its field and what would be right, and shows no value that may be a secret in the wrong
//! place. YAML and schemas are behind features, so that the wasm stays small.

mod amount;
mod duration;
mod error;
pub mod json;
#[cfg(feature = "schema")]
pub mod schema;
mod size;
#[cfg(feature = "schema")]
pub mod table;
#[cfg(feature = "yaml")]
pub mod yaml;

pub use amount::UnitError;
pub use duration::{Duration, DurationError, Time};
pub use error::{ConfigError, Place, did_you_mean};
pub use size::{ByteSize, Size};
