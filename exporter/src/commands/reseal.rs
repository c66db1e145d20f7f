//! `settings-key reseal`: seals anew, by the first key, the secrets of the page that another key sealed.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    nats::{NATS_DEADLINE, connected},
    output::say,
};
use crate::{
    app::settings::Settings,
    metrics::Metrics,
    saved_destinations::{Changed, SavedDestinations},
    ship::fleet::Fleet,
};

/// Seals them. After an error what was sealed until then is.
pub async fn reseal(settings: &Settings) -> anyhow::Result<()> {
    let bus = connected(settings).await?;
    let fleet = Fleet::new(bus.clone(), Arc::new(Metrics::default()));
    let saved =
        SavedDestinations::new(bus.clone(), fleet, settings.static_config.clone(), settings.role.ships());
    let stop = CancellationToken::new();
    let following = tokio::spawn({
        let (saved, stop) = (saved.clone(), stop.clone());
        async move { saved.follow(stop).await }
    });
    let mut changes = saved.changes();
    let known = timeout(NATS_DEADLINE, changes.wait_for(|seen| seen.known)).await.is_ok_and(|it| it.is_ok());
    let by = Changed::now("weir-exporter settings-key reseal", "");
    let resealed = if known {
        saved.reseal(&by).await.map_err(|why| anyhow!(why.to_string()))
    } else {
        let why = saved.wrong().unwrap_or_else(|| "settings.enabled is false".to_owned());
        Err(anyhow!("what is saved cannot be read: {why}"))
    };
    stop.cancel();
    // It ends at once.
    let _ = following.await;
    let (count, failed) = resealed?;
    say(&format!("{count} secrets were sealed anew."));
    bus.close().await;
    if failed.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = failed.into_iter().map(|(name, error)| format!("{name}: {error}")).collect();
    bail!("not sealed anew: {}", lines.join("; "))
}
