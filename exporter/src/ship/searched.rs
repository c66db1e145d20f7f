//! What was pulled, searched by the destination's recognizer before it is mapped.

use async_nats::jetstream::AckKind;
use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use weir_event::{disclosure, v1::TraceEvent};

use super::{
    backoff::Backoff,
    batch::{Pulled, acknowledge_all},
    deliver::{PROGRESS, stopped_within},
    health::Condition,
    lane::Lane,
    recognize::Recognizer,
};
use crate::bus::payload;

/// How many events are searched at once, of each batch.
const AT_ONCE: usize = 4;

impl Lane {
    /// Has the content of what was pulled searched, as long as that takes; JetStream hears meanwhile that it is in
    /// progress. Where `stop` comes, what was not searched has lost its content, and is handed back as it is stored.
    pub(super) async fn searched(&self, mut pulled: Vec<Pulled>, stop: &CancellationToken) -> Vec<Pulled> {
        let Some(recognizer) = &self.recognizer else { return pulled };
        {
            let (messages, ackers): (Vec<_>, Vec<_>) = pulled
                .iter_mut()
                .filter(|one| !one.is_worn)
                .map(|one| (&mut one.message, &one.acker))
                .unzip();
            let searching = stream::iter(messages)
                .for_each_concurrent(AT_ONCE, |message| self.search(recognizer, message, stop));
            tokio::pin!(searching);
            let mut ticks = interval_at(tokio::time::Instant::now() + PROGRESS, PROGRESS);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = &mut searching => break,
                    _ = ticks.tick() => acknowledge_all(ackers.iter().copied(), AckKind::Progress).await,
                }
            }
        }
        pulled
    }

    async fn search(
        &self,
        recognizer: &Recognizer,
        message: &mut async_nats::Message,
        stop: &CancellationToken,
    ) {
        // What is not sent needs no search.
        let is_others = payload::replay_target(&message.subject).is_some_and(|target| target != self.name());
        let Some(mut event) = payload::event(message).filter(|_| !is_others) else { return };
        let is_wanted = self.mapper.when.as_ref().is_none_or(|when| when.holds(&event));
        if !is_wanted || !disclosure::has_content(&event) {
            return;
        }
        self.search_event(recognizer, &mut event, stop).await;
        message.payload = event.encode_to_vec().into();
        // It is not compressed any more.
        message.headers = None;
    }

    async fn search_event(&self, recognizer: &Recognizer, event: &mut TraceEvent, stop: &CancellationToken) {
        let mut backoff = Backoff::new(self.settings.retry);
        loop {
            let Err(reason) = recognizer.search(event).await else { return };
            if !recognizer.waits() {
                warn!(destination = self.name(), reason, "an event goes without its content");
                return disclosure::without_content(event);
            }
            let pause = backoff.next(&mut fastrand::Rng::new());
            self.health.failed(Condition::Retrying(reason), pause);
            if stopped_within(stop, pause).await {
                return disclosure::without_content(event);
            }
        }
    }
}
