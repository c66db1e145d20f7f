//! `remove-destination NAME`: deletes the consumer of a destination that is no more, its backlog named first and
//! counted as purged.

use anyhow::bail;

use super::{
    nats::connected,
    output::{UNCONFIRMED, say},
};
use crate::{app::settings::Settings, bus::CONSUMER_PREFIX, ship::consumer_name};

/// Deletes it, where it was confirmed.
pub async fn remove(settings: &Settings, name: &str, yes: bool) -> anyhow::Result<()> {
    if settings.destinations.iter().any(|one| &*one.name == name) {
        bail!("no destination named {name} that is not in the configuration any more: take it out first");
    }
    let bus = connected(settings).await?;
    let saved = bus.settings(false).await.ok();
    if let Some(saved) = saved
        && saved.store.get(format!("destination.{name}")).await.is_ok_and(|found| found.is_some())
    {
        bail!("no destination named {name} that is not saved on the page any more: remove it there");
    }
    let consumer = consumer_name(name);
    let all = bus.consumers().await?;
    if !all.contains(&consumer) {
        let names: Vec<_> = all.iter().filter_map(|name| name.strip_prefix(CONSUMER_PREFIX)).collect();
        bail!("no destination named {name}; there are: {}", names.join(", "));
    }
    let seen = bus.seen(&consumer).await?;
    say(&format!("{name}: {} events wait for it and will not be delivered.", seen.backlog));
    if !yes {
        bail!(UNCONFIRMED);
    }
    bus.delete_consumer(&consumer).await?;
    let account = crate::ledger::close(&bus.ledger().await?, name, &seen).await?;
    say(&format!(
        "Removed. Of {} events stored for it {} were delivered, {} rejected, {} made dead letters, {} filtered, {} \
         evicted and {} purged now.",
        account.stored(),
        account.delivered,
        account.rejected,
        account.dead_lettered,
        account.filtered,
        account.evicted,
        account.purged,
    ));
    bus.close().await;
    Ok(())
}
