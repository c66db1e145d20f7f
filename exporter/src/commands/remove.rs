//! `remove-destination NAME`: deletes the consumer of a destination that is no more, its backlog named first and
//! counted as purged.

use super::{error::CommandError, nats::connected, output::say};
use crate::{app::settings::Settings, bus::CONSUMER_PREFIX, ship::consumer_name};

/// Deletes it, where it was confirmed.
pub async fn remove(settings: &Settings, name: &str, yes: bool) -> Result<(), CommandError> {
    if settings.destinations.iter().any(|one| &*one.name == name) {
        let hint = " that is not in the configuration any more: take it out first".to_owned();
        return Err(CommandError::NoDestination { name: name.to_owned(), hint });
    }
    let bus = connected(settings).await?;
    let saved = bus.settings(false).await.ok();
    if let Some(saved) = saved
        && saved.store.get(format!("destination.{name}")).await.is_ok_and(|found| found.is_some())
    {
        let hint = " that is not saved on the page any more: remove it there".to_owned();
        return Err(CommandError::NoDestination { name: name.to_owned(), hint });
    }
    let consumer = consumer_name(name);
    let all = bus.consumers().await?;
    if !all.contains(&consumer) {
        let names: Vec<_> = all.iter().filter_map(|name| name.strip_prefix(CONSUMER_PREFIX)).collect();
        let hint = format!("; there are: {}", names.join(", "));
        return Err(CommandError::NoDestination { name: name.to_owned(), hint });
    }
    let seen = bus.seen(&consumer).await?;
    say(&format!("{name}: {} events wait for it and will not be delivered.", seen.backlog));
    if !yes {
        return Err(CommandError::Unconfirmed);
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
