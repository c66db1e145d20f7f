//! What can go wrong when a component of Weir is started, whichever it is.

use std::io;

use crate::system::{
    process::{AddressInUse, ProcessError},
    tools::ToolError,
};

/// Why a component of Weir could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A program is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// It did not come up.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No directory or no port for it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The gateway's configuration is wrong.
    #[error("gateway.yaml: {0}")]
    Config(#[from] weir_config::Error),
}

impl AddressInUse for StartError {
    fn address_in_use(&self) -> bool {
        matches!(self, Self::Process(error) if error.address_in_use())
    }
}
