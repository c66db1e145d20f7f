//! The connection to NATS that commands use.

use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};

use crate::{app::settings::Settings, bus::Bus};

/// How long a command waits for NATS.
pub(super) const NATS_DEADLINE: Duration = Duration::from_secs(10);

/// How often it looks whether NATS is there.
const LOOK: Duration = Duration::from_millis(50);

/// A connection to NATS, which is there.
pub(super) async fn connected(settings: &Settings) -> anyhow::Result<Bus> {
    let bus = Bus::connect(settings.bus.clone(), Vec::new()).await?;
    let end = Instant::now() + NATS_DEADLINE;
    while !bus.is_connected() {
        if Instant::now() >= end {
            let servers = &settings.bus.servers;
            bail!("not connected to NATS at {servers} within {} s", NATS_DEADLINE.as_secs());
        }
        sleep(LOOK).await;
    }
    Ok(bus)
}
