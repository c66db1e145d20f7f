//! HTTP/1.1 and HTTP/2 with prior knowledge (h2c) or over TLS on one listener, with a bounded number of
//! connections and an orderly end.
//!
//! At shutdown nothing new is accepted, requests in handling are answered, and what has not ended by the
//! deadline is cut.

use std::{io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Connections open at once where nothing else is said; more wait in the listen queue.
pub const MAX_CONNECTIONS: usize = 1024;

/// How long an HTTP/1 connection may take over a request's head, idle time between requests included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an HTTP/2 connection is asked whether it still lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// How long requests in handling have to end at shutdown.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// How long accepting pauses after it failed, out of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Among a request's extensions: the address that its connection comes from; none of a Unix socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer(pub Option<IpAddr>);

/// What was accepted: the connection, whom it comes from, and what its handshake needs.
type Accepted = (Box<dyn Io>, Peer, Option<TlsAcceptor>);

/// Where connections come from.
pub enum Listener {
    /// TCP, plain or under TLS.
    Tcp(TcpListener, Option<TlsAcceptor>),
    /// A Unix socket, whose file goes at the end.
    Unix(UnixListener, PathBuf),
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Listener {
    /// The next connection.
    async fn accept(&self, name: &'static str) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(listener = name, %error, "cannot set TCP_NODELAY");
                }
                Ok((Box::new(stream), Peer(Some(address.ip())), tls.clone()))
            }
            Self::Unix(listener, _) => Ok((Box::new(listener.accept().await?.0), Peer::default(), None)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Nothing depends on it: a start replaces it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Serves until `stop`, then ends in order.
pub async fn serve(
    name: &'static str,
    listener: Listener,
    router: Router,
    max_connections: usize,
    stop: CancellationToken,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(MAX_STREAMS);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            io::Result::Ok((place, listener.accept(name).await?))
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = next => accepted,
        };
        let (place, (stream, peer, tls)) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(listener = name, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (builder, watcher) = (builder.clone(), graceful.watcher());
        let service = TowerToHyperService::new(router.clone().layer(Extension(peer)));
        tokio::spawn(async move {
            let stream = match tls {
                None => Some(stream),
                Some(tls) => shaken(name, tls, stream).await,
            };
            if let Some(stream) = stream {
                let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
                if let Err(error) = watcher.watch(connection).await {
                    debug!(listener = name, error, "connection ended early");
                }
            }
            drop(place);
        });
    }
    drop(listener);
    if timeout(END_DEADLINE, graceful.shutdown()).await.is_err() {
        warn!(listener = name, "requests in handling were cut at the deadline");
    }
}

async fn shaken(name: &'static str, tls: TlsAcceptor, stream: Box<dyn Io>) -> Option<Box<dyn Io>> {
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(error)) => {
            debug!(listener = name, %error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
