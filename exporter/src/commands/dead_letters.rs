//! `dead-letters list|show|replay|purge`: events that a destination refused.

use anyhow::{Context as _, bail};
use weir_event::EventId;

use super::{
    nats::connected,
    output::{UNCONFIRMED, say},
};
use crate::{
    app::settings::Settings,
    bus::{Bus, DeadLetter, payload},
    cli::DeadLetters,
};

/// How many letters one round of replay or purge reads.
const ROUND: usize = 1000;

/// Does what the command says.
pub async fn dead_letters(settings: &Settings, command: &DeadLetters) -> anyhow::Result<()> {
    let bus = connected(settings).await?;
    match command {
        DeadLetters::List { destination, limit } => {
            let letters = bus.dead_letters(destination.as_deref(), *limit).await?;
            if letters.is_empty() {
                say("No dead letters.");
            }
            for letter in &letters {
                say(&line(letter));
            }
        }
        DeadLetters::Show { number, content } => {
            for letter in &chosen(&bus, None, Some(*number)).await? {
                say(&shown(letter, *content));
            }
        }
        DeadLetters::Replay { destination, number } => {
            let count = each(&bus, destination.as_deref(), *number, true).await?;
            say(&format!("{count} events go to their destination again."));
        }
        DeadLetters::Purge { destination, number, yes } => {
            if !yes {
                let letters = chosen(&bus, destination.as_deref(), *number).await?;
                let more = if letters.len() == ROUND { " at least" } else { "" };
                say(&format!("{}{more} dead letters would be deleted for good.", letters.len()));
                bail!(UNCONFIRMED);
            }
            let count = each(&bus, destination.as_deref(), *number, false).await?;
            say(&format!("{count} dead letters were deleted."));
        }
    }
    bus.close().await;
    Ok(())
}

async fn chosen(
    bus: &Bus,
    destination: Option<&str>,
    number: Option<u64>,
) -> anyhow::Result<Vec<DeadLetter>> {
    match number {
        Some(number) => {
            let letter = bus.dead_letter(number).await?;
            Ok(vec![letter.with_context(|| format!("no dead letter has the number {number}"))?])
        }
        None => Ok(bus.dead_letters(destination, ROUND).await?),
    }
}

/// Replays or deletes what is chosen; what comes meanwhile is left for the next time.
async fn each(
    bus: &Bus,
    destination: Option<&str>,
    number: Option<u64>,
    replay: bool,
) -> anyhow::Result<usize> {
    // What is refused again becomes a letter with a higher number: not of this run.
    let last = bus.last_dead_letter().await?;
    let mut count = 0;
    loop {
        let letters = chosen(bus, destination, number).await?;
        let whole = letters.len() == ROUND;
        let round: Vec<_> = letters.into_iter().filter(|letter| letter.number <= last).collect();
        for letter in &round {
            if replay {
                bus.replay(letter).await?;
            } else {
                bus.forget(letter.number).await?;
            }
            count += 1;
        }
        if number.is_some() || !whole || round.is_empty() {
            return Ok(count);
        }
    }
}

fn line(letter: &DeadLetter) -> String {
    let DeadLetter { number, destination, reason, sequence, at_ms, bytes, .. } = letter;
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(*at_ms);
    let at = httpdate::fmt_http_date(at);
    format!("{number:>8}  {destination}  {at}  {reason}  ({bytes} bytes, sequence {sequence})")
}

fn shown(letter: &DeadLetter, content: bool) -> String {
    let event = letter.event().and_then(payload::decode);
    let Some(mut event) = event else {
        return format!("{}\nIt is no event that can be read.", line(letter));
    };
    let id = EventId::of(&event).map(|id| id.to_string()).unwrap_or_default();
    let had = event.content.is_some();
    if !content {
        event.content = None;
    }
    let note = if had && !content { "\n(Its content is left out; say --content to see it.)" } else { "" };
    format!("{}\nevent {id}\n{event:#?}{note}", line(letter))
}
