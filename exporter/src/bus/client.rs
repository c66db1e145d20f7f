//! The connection to NATS: its state, and what is to be there.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    AuthError, Client, ClientError, ConnectErrorKind, ConnectOptions, Event,
    connection::State,
    jetstream::{self, kv},
};
use futures_util::future::BoxFuture;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    connection::{BusSettings, NatsAuth, StreamSettings},
    credentials::Credentials,
    error::BusError,
    layout::{self, ConsumerSettings},
    names::{LEDGER, STREAM, destination_of},
    seen::Seen,
};
use crate::{cli::Role, config::wire};

/// Publishes that may wait for their acknowledgement at once.
const MAX_PUBLISHES: usize = 1 << 16;

/// How long a connection may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Timeout of a JetStream API request.
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

/// Begins a destination's ledger, in the bucket of ledgers, with what is seen of its consumer.
pub type BeginLedger = for<'a> fn(&'a kv::Store, &'a str, &'a Seen) -> BoxFuture<'a, Result<(), BusError>>;

/// The connection to NATS, shared by everything that uses it.
#[derive(Clone)]
pub struct Bus {
    pub(super) client: Client,
    pub(super) context: jetstream::Context,
    shared: Arc<Shared>,
}

struct Shared {
    settings: BusSettings,
    wanted: Mutex<Wanted>,
    state: watch::Sender<Result<(), String>>,
    /// Why NATS rejects the connection, where it responds.
    refused: watch::Sender<Option<String>>,
    look: Arc<Notify>,
    ledger: tokio::sync::OnceCell<kv::Store>,
}

/// What is to be there; a reload changes it.
#[derive(Clone, PartialEq)]
struct Wanted {
    stream: StreamSettings,
    consumers: Vec<ConsumerSettings>,
}

impl Bus {
    /// Sets up the client; connecting goes on in the background for as long as it takes. An error says that the
    /// client's settings cannot be used at all.
    pub async fn connect(settings: BusSettings, consumers: Vec<ConsumerSettings>) -> Result<Self, BusError> {
        let look = Arc::new(Notify::new());
        let changed = Arc::clone(&look);
        let refused = watch::Sender::new(None);
        let (who, refused_sender) = (settings.auth.setting(), refused.clone());
        let options = identified(&settings.auth, &refused)
            .name("weir-exporter")
            .custom_inbox_prefix(inbox(settings.role))
            .retry_on_initial_connect()
            .connection_timeout(CONNECT_DEADLINE)
            .request_timeout(Some(API_DEADLINE))
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(reconnect_pause)
            .event_callback(move |event| {
                report(&event, who, &refused_sender);
                changed.notify_one();
                std::future::ready(())
            });
        let options = secured(options, settings.tls.as_ref());
        let client = options.connect(settings.servers.0.clone()).await?;
        let context = jetstream::context::ContextBuilder::new()
            .timeout(API_DEADLINE)
            .ack_timeout(API_DEADLINE)
            .max_ack_inflight(MAX_PUBLISHES)
            .build(client.clone());
        let state = watch::Sender::new(Err(format!("not connected to NATS at {}", settings.servers)));
        let wanted = Mutex::new(Wanted { stream: settings.stream.clone(), consumers });
        let shared = Shared { settings, wanted, state, refused, look, ledger: tokio::sync::OnceCell::new() };
        Ok(Self { client, context, shared: Arc::new(shared) })
    }

    /// Changes what is to be there; takes effect with the next look, which is soon. False where the connection
    /// itself would have to change, which only a restart can bring.
    pub fn want(&self, settings: &BusSettings, consumers: Vec<ConsumerSettings>) -> bool {
        let wanted = Wanted { stream: settings.stream.clone(), consumers };
        let before = std::mem::replace(
            &mut *self.shared.wanted.lock().unwrap_or_else(PoisonError::into_inner),
            wanted.clone(),
        );
        // A look makes whoever stores wait: only for what is to be laid out.
        if before != wanted {
            self.look_again();
        }
        layout::same_connection(&self.shared.settings, settings)
    }

    /// What the stream is to be.
    pub(super) fn stream_wanted(&self) -> StreamSettings {
        self.wanted().stream
    }

    fn wanted(&self) -> Wanted {
        self.shared.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether NATS is connected at this moment.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// `Ok` where NATS is connected and holds the stream and the consumers; else what is missing, in one sentence for
    /// an operator.
    pub fn state(&self) -> Result<(), String> {
        if !self.is_connected() {
            return Err(self.away());
        }
        self.shared.state.borrow().clone()
    }

    /// Why there is no connection, as far as is known.
    fn away(&self) -> String {
        let servers = &self.shared.settings.servers;
        match &*self.shared.refused.borrow() {
            None => format!("not connected to NATS at {servers}"),
            Some(why) => format!("NATS at {servers} {why}"),
        }
    }

    /// Asks for the stream and the consumers to be looked at soon, because something seemed missing.
    pub fn look_again(&self) {
        self.shared.state.send_modify(|state| *state = Err("looking at the stream again".to_owned()));
        self.shared.look.notify_one();
    }

    /// Keeps the stream and the consumers in place until `stop`. Fails where at the first look there is a stream that
    /// would be damaged.
    pub async fn keep(&self, begin: BeginLedger, stop: CancellationToken) -> Result<(), BusError> {
        let mut was_well = false;
        loop {
            let pause = if self.is_connected() {
                let found = self.lay_out(begin).await;
                if let Err(error) = &found
                    && error.is_for_good()
                    && !was_well
                {
                    return found;
                }
                was_well |= found.is_ok();
                let found = found.map_err(|error| error.to_string());
                self.report(&found);
                if found.is_ok() { RECHECK } else { RECHECK_SOON }
            } else {
                self.report(&Err(self.away()));
                RECHECK_SOON
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
                () = self.shared.look.notified() => {}
            }
        }
    }

    /// Puts everything in place once. Ingest alone only looks whether the stream is there: its user in NATS need
    /// not be allowed to make anything, nor to read what is stored.
    pub async fn lay_out(&self, begin: BeginLedger) -> Result<(), BusError> {
        if !self.shared.settings.role.ships() {
            return layout::stream_is_there(&self.context).await;
        }
        let wanted = self.wanted();
        layout::stream(&self.context, &wanted.stream).await?;
        layout::dead_letters(&self.context, &wanted.stream).await?;
        layout::ledger(&self.context, &wanted.stream).await?;
        for consumer in &wanted.consumers {
            match self.lay_out_consumer(consumer, begin).await {
                Err(error) if !consumer.needed => warn!(%error, "going on without"),
                laid_out => laid_out?,
            }
        }
        Ok(())
    }

    /// A consumer and, where it is a destination's, the ledger, which begins with it: what is stored from then on
    /// concerns the destination.
    async fn lay_out_consumer(
        &self,
        consumer: &ConsumerSettings,
        begin: BeginLedger,
    ) -> Result<(), BusError> {
        let Some(destination) = destination_of(&consumer.name) else {
            return layout::consumer(&self.context, consumer).await;
        };
        let stream = self.look(STREAM).await?;
        let info = stream.cached_info();
        let before = Seen {
            stream: info.created.unix_timestamp_nanos().to_string(),
            first: info.state.first_sequence,
            last: info.state.last_sequence,
            ..Seen::default()
        };
        let is_new = stream.consumer_info(&consumer.name).await.is_err();
        layout::consumer(&self.context, consumer).await?;
        let begins = if is_new { before } else { self.seen(&consumer.name).await? };
        begin(&self.ledger().await?, destination, &begins).await
    }

    /// The bucket of ledgers.
    pub async fn ledger(&self) -> Result<kv::Store, BusError> {
        let store = self.shared.ledger.get_or_try_init(|| async {
            let found = self.context.get_key_value(LEDGER).await;
            found.map_err(BusError::cannot(format_args!("open bucket {LEDGER}")))
        });
        store.await.cloned()
    }

    /// The largest message that the server takes.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    fn report(&self, found: &Result<(), String>) {
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

/// Prefix of the subjects that responses arrive at. A NATS user that may listen to all of `_INBOX.>` would read what
/// is delivered to another, so each part has a prefix of its own, which its user's permissions can name.
fn inbox(role: Role) -> &'static str {
    if role.ships() { "_INBOX_weir_ship" } else { "_INBOX_weir_ingest" }
}

type Refused = watch::Sender<Option<String>>;

fn identified(auth: &NatsAuth, refused: &Refused) -> ConnectOptions {
    let options = ConnectOptions::new();
    match auth {
        NatsAuth::None => options,
        NatsAuth::Credentials(file) => {
            let (file, refused) = (file.clone(), refused.clone());
            ConnectOptions::with_auth_callback(move |nonce| {
                let auth = Credentials::read(&file).and_then(|credentials| credentials.sign(&nonce));
                std::future::ready(auth.map_err(|error| {
                    let why = format!("nats.credentials: {} {error}", file.display());
                    refused.send_replace(Some(format!("waits for credentials: {why}")));
                    AuthError::new(why)
                }))
            })
        }
        NatsAuth::Nkey(seed) => options.nkey(seed.expose().to_owned()),
        NatsAuth::Token(token) => options.token(token.expose().to_owned()),
        NatsAuth::User(user, password) => {
            options.user_and_password(user.clone(), password.expose().to_owned())
        }
    }
}

fn secured(mut options: ConnectOptions, tls: Option<&wire::ClientTls>) -> ConnectOptions {
    let Some(tls) = tls else { return options };
    options = options.require_tls(true);
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => options.add_client_certificate(certificate.clone(), key.clone()),
        _ => options,
    }
}

fn reconnect_pause(attempts: usize) -> Duration {
    let doubled = 100_u64.saturating_mul(1 << attempts.min(10));
    let most = Duration::from_millis(doubled).min(MAX_RECONNECT_PAUSE);
    most.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Logs an event; `who` names the setting that holds our credentials.
fn report(event: &Event, who: &'static str, refused: &Refused) {
    match event {
        Event::Connected => {
            refused.send_replace(None);
            info!("connected to NATS");
        }
        Event::Disconnected => warn!("lost the connection to NATS"),
        Event::ServerError(error) => warn!(%error, "NATS reports an error"),
        Event::ClientError(ClientError::Other(error)) if is_refusal(error) => {
            let why = format!("does not let the exporter in ({error}): look at {who}");
            if refused.send_replace(Some(why)).is_none() {
                error!(error, setting = who, "NATS does not let the exporter in");
            }
        }
        Event::ClientError(error) => debug!(%error, "NATS client"),
        other => debug!(event = %other, "NATS client"),
    }
}

/// Whether NATS rejected our credentials. The client reports it as text only.
fn is_refusal(error: &str) -> bool {
    error.contains(&ConnectErrorKind::AuthorizationViolation.to_string())
}
