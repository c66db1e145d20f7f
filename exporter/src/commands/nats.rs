//! The connection to NATS that commands use.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::{CommandError, NATS_DEADLINE};
use crate::{app::settings::Settings, bus::Bus};

/// How often it looks whether NATS is there.
const LOOK: Duration = Duration::from_millis(50);

/// A connection to NATS, which is there.
pub(super) async fn connected(settings: &Settings) -> Result<Bus, CommandError> {
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
