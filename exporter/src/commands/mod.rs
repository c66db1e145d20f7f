//! What the command line does besides running: each command says what it found in words, on standard output.
//! None of it shows a secret, and only `dead-letters show --content` shows what somebody wrote.

mod check;
mod dead_letters;
mod ready;
mod remove;
mod reseal;
mod status;
mod test_destination;

use std::{
    io::{self, Write as _},
    time::Duration,
};

use tokio::time::{Instant, sleep};

pub use check::{CheckError, check};
pub use dead_letters::dead_letters;
pub use ready::ready;
pub use remove::remove;
pub use reseal::reseal;
pub use status::status;
pub use test_destination::{LabelledTrace, test_destination, told};

use crate::{
    app::settings::Settings,
    bus::{Bus, BusError},
};

/// How long a command waits for NATS.
const NATS_DEADLINE: Duration = Duration::from_secs(10);

/// How often it looks whether NATS is there.
const LOOK: Duration = Duration::from_millis(50);

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// NATS did not do what it was asked.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// NATS is not there.
    #[error("not connected to NATS at {0} within {secs} s", secs = NATS_DEADLINE.as_secs())]
    NoNats(String),
    /// A running exporter does not answer.
    #[error("no exporter answers at {url}: {why}; is it running, and is --admin-listen right?")]
    NoExporter {
        /// Where it was looked for.
        url: String,
        /// Why not.
        why: String,
    },
    /// A running exporter says that it is not ready.
    #[error("not ready: {0}")]
    NotReady(String),
    /// There is no destination by this name.
    #[error("no destination named {name}{hint}")]
    NoDestination {
        /// The name.
        name: String,
        /// The names that there are.
        hint: String,
    },
    /// There is no dead letter by this number.
    #[error("no dead letter has the number {0}")]
    NoLetter(u64),
    /// It was not confirmed.
    #[error("nothing was changed: say --yes to do it")]
    Unconfirmed,
    /// Secrets were not sealed anew.
    #[error("{0}")]
    Unsealed(String),
    /// A test span did not arrive.
    #[error("{0}")]
    Undelivered(String),
}

/// Writes to standard output. Nothing is done about a reader that is gone.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A connection to NATS, which is there.
async fn bus(settings: &Settings) -> Result<Bus, CommandError> {
    let bus = Bus::connect(settings.bus.clone(), Vec::new()).await?;
    let end = Instant::now() + NATS_DEADLINE;
    while !bus.is_connected() {
        if Instant::now() >= end {
            return Err(CommandError::NoNats(settings.bus.servers.to_string()));
        }
        sleep(LOOK).await;
    }
    Ok(bus)
}
