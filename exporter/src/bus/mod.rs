//! NATS JetStream: the one stream that events are kept in and the durable consumers they are read by.
//!
//! The exporter starts whether NATS is there or not and says through [`Bus::state`] what is missing.
//! While NATS is not connected nothing is published, so nothing queues up in the client.

mod layout;
mod publish;

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectOptions, Event,
    connection::State,
    jetstream::{self, consumer::PullConsumer},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use layout::{ACK_WAIT, ConsumerSettings, STREAM, SUBJECT};

use crate::{
    ingest::{MAX_EVENTS, MAX_IN_HANDLING},
    settings::BusSettings,
};

/// How long a connection may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How long an answer of JetStream's API may take.
const API_DEADLINE: Duration = Duration::from_secs(5);

/// How often a connection is asked whether it still lives.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// The longest pause between two attempts to connect.
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// How soon the stream is looked at again after something was missing.
const RECHECK_SOON: Duration = Duration::from_secs(1);

/// How often it is looked at while all is well.
const RECHECK: Duration = Duration::from_secs(60);

/// How long the client may take to write out what it holds at the end.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// What went wrong with NATS.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The client could not be set up.
    #[error("cannot set up the NATS client")]
    Connect(#[from] async_nats::ConnectError),
    /// JetStream did not do what it was asked.
    #[error("cannot {what}: {why}")]
    JetStream {
        /// What was asked.
        what: String,
        /// What it said.
        why: String,
    },
    /// The stream that is there keeps events in another way.
    #[error(
        "stream {STREAM} has {field} {found}, Weir needs {needed}: it was made by something else, rename or remove it"
    )]
    Incompatible {
        /// The setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would be right.
        needed: &'static str,
    },
}

/// The connection to NATS, shared by everything that uses it.
#[derive(Clone)]
pub struct Bus {
    client: Client,
    context: jetstream::Context,
    shared: Arc<Shared>,
}

struct Shared {
    settings: BusSettings,
    consumers: Vec<ConsumerSettings>,
    state: watch::Sender<Result<(), String>>,
    look: Arc<Notify>,
}

impl Bus {
    /// Sets up the client; connecting goes on in the background for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`BusError::Connect`] where the client's settings cannot be used at all.
    pub async fn connect(settings: BusSettings, consumers: Vec<ConsumerSettings>) -> Result<Self, BusError> {
        let look = Arc::new(Notify::new());
        let changed = Arc::clone(&look);
        let client = ConnectOptions::new()
            .name("weir-exporter")
            .retry_on_initial_connect()
            .connection_timeout(CONNECT_DEADLINE)
            .request_timeout(Some(API_DEADLINE))
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(reconnect_pause)
            .event_callback(move |event| {
                told(&event);
                changed.notify_one();
                std::future::ready(())
            })
            .connect(settings.servers.0.clone())
            .await?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(API_DEADLINE)
            .ack_timeout(API_DEADLINE)
            .max_ack_inflight(MAX_EVENTS * MAX_IN_HANDLING)
            .build(client.clone());
        let state = watch::Sender::new(Err(format!("not connected to NATS at {}", settings.servers)));
        Ok(Self { client, context, shared: Arc::new(Shared { settings, consumers, state, look }) })
    }

    /// Whether NATS is connected at this moment.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// `Ok` where NATS is connected and holds the stream and the consumers; else what is missing.
    ///
    /// # Errors
    ///
    /// One sentence for an operator.
    pub fn state(&self) -> Result<(), String> {
        if !self.is_connected() {
            return Err(format!("not connected to NATS at {}", self.shared.settings.servers));
        }
        self.shared.state.borrow().clone()
    }

    /// Asks for the stream and the consumers to be looked at soon, because something seemed missing.
    pub fn look_again(&self) {
        self.shared.state.send_modify(|state| *state = Err("looking at the stream again".to_owned()));
        self.shared.look.notify_one();
    }

    /// Keeps the stream and the consumers in place until `stop`.
    pub async fn keep(&self, stop: CancellationToken) {
        loop {
            let pause = if self.is_connected() {
                let found = self.lay_out().await;
                self.tell(&found);
                if found.is_ok() { RECHECK } else { RECHECK_SOON }
            } else {
                self.tell(&Err(format!("not connected to NATS at {}", self.shared.settings.servers)));
                RECHECK_SOON
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.shared.look.notified() => {}
            }
        }
    }

    async fn lay_out(&self) -> Result<(), String> {
        layout::stream(&self.context, &self.shared.settings).await.map_err(|error| error.to_string())?;
        for consumer in &self.shared.consumers {
            match layout::consumer(&self.context, consumer).await {
                Err(error) if consumer.needed => return Err(error.to_string()),
                Err(error) => warn!(%error, "going on without"),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn tell(&self, found: &Result<(), String>) {
        let changed = self.shared.state.send_if_modified(|state| {
            let changed = state != found;
            state.clone_from(found);
            changed
        });
        match found {
            Ok(()) if changed => info!(stream = STREAM, "ready"),
            Err(why) if changed && self.is_connected() => error!(why, "not ready"),
            Err(why) if changed => warn!(why, "not ready"),
            _ => {}
        }
    }

    /// A durable consumer.
    ///
    /// # Errors
    ///
    /// [`BusError::JetStream`] where it is not there.
    pub async fn consumer(&self, name: &str) -> Result<PullConsumer, BusError> {
        self.context.get_consumer_from_stream(name, STREAM).await.map_err(|error| BusError::JetStream {
            what: format!("find consumer {name}"),
            why: error.to_string(),
        })
    }

    /// Writes out what the client still holds, acknowledgements above all, and closes the connection.
    pub async fn close(&self) {
        if !self.is_connected() {
            return;
        }
        let flushed = timeout(FLUSH_DEADLINE, self.client.flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            warn!("NATS did not take the last acknowledgements: those events come again");
        }
        if let Err(error) = self.client.drain().await {
            debug!(%error, "cannot drain the NATS client");
        }
    }
}

fn reconnect_pause(attempts: usize) -> Duration {
    let doubled = 100_u64.saturating_mul(1 << attempts.min(10));
    let most = Duration::from_millis(doubled).min(MAX_RECONNECT_PAUSE);
    most.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn told(event: &Event) {
    match event {
        Event::Connected => info!("connected to NATS"),
        Event::Disconnected => warn!("lost the connection to NATS"),
        Event::ServerError(error) => warn!(%error, "NATS reports an error"),
        Event::ClientError(error) => debug!(%error, "NATS client"),
        other => debug!(event = %other, "NATS client"),
    }
}
