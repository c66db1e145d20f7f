//! HTTP/1.1 and HTTP/2 with prior knowledge (h2c) or over TLS on one listener, with a bounded number of
//! connections and an orderly end.
//!
//! A connection whose first request does not come soon is closed, and one peer gets half of the places at most, so
//! that nobody who only connects can keep others out. At shutdown nothing new is accepted, requests in handling are
//! completed, and what has not ended by the deadline is cut.

use std::{
    io,
    net::IpAddr,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router};
use hyper::service::Service;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::places::Places;

/// Connections open at once where nothing else is said; more wait in the listen queue.
pub const MAX_CONNECTIONS: usize = 1024;

/// How long a connection may take until the head of its first request is here, whatever it speaks.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an HTTP/1 connection may take over a later request's head, idle time between requests included.
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
    let places = Places::new(max_connections);
    loop {
        let next = async {
            let place = places.free().await.map_err(io::Error::other)?;
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
        let Some(place) = place.taken_by(peer.0) else {
            debug!(listener = name, peer = ?peer.0, "a peer has all the connections that one may have");
            continue;
        };
        let (builder, watcher) = (builder.clone(), graceful.watcher());
        let asked = Arc::new(AtomicBool::new(false));
        let service = Asked {
            inner: TowerToHyperService::new(router.clone().layer(Extension(peer))),
            asked: Arc::clone(&asked),
        };
        tokio::spawn(async move {
            let stream = match tls {
                None => Some(stream),
                Some(tls) => shaken(name, tls, stream).await,
            };
            if let Some(stream) = stream {
                let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
                let mut connection = pin!(watcher.watch(connection));
                let ended = match timeout(FIRST_REQUEST_TIMEOUT, &mut connection).await {
                    Err(_) if asked.load(Ordering::Relaxed) => connection.await,
                    Err(_) => Err("no request came in time".into()),
                    Ok(ended) => ended,
                };
                if let Err(error) = ended {
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

/// A service that notes that it was asked something.
#[derive(Clone)]
struct Asked<S> {
    inner: S,
    asked: Arc<AtomicBool>,
}

impl<R, S: Service<R>> Service<R> for Asked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: R) -> S::Future {
        self.asked.store(true, Ordering::Relaxed);
        self.inner.call(request)
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpSocket, TcpStream},
        time::Instant,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n";

    /// The first bytes of HTTP/2, and the empty settings that follow them.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

    async fn served(max_connections: usize) -> (std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(async || "here"));
        tokio::spawn(serve("test", Listener::Tcp(listener, None), router, max_connections, stop.clone()));
        (address, stop)
    }

    /// Sends what is said and reads until the connection is closed.
    async fn until_closed(stream: &mut TcpStream, said: &[u8]) -> Vec<u8> {
        stream.write_all(said).await.unwrap();
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read).await;
        read
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut read = [0; 1024];
        if stream.write_all(REQUEST).await.is_err() {
            return String::new();
        }
        let length = stream.read(&mut read).await.unwrap_or_default();
        String::from_utf8_lossy(&read[..length]).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_is_closed_whatever_it_speaks() {
        let (address, _stop) = served(8).await;
        for said in [b"".as_slice(), b"P", b"PRI * HT", b"GET / HTTP/1.1\r\nhost:", PREFACE] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let start = Instant::now();
            let closed = timeout(Duration::from_secs(60), until_closed(&mut stream, said)).await;
            assert!(closed.is_ok(), "{said:?}: still open");
            assert!(start.elapsed() <= FIRST_REQUEST_TIMEOUT + Duration::from_secs(1), "{said:?}");
        }
    }

    #[tokio::test]
    async fn silent_connections_of_one_peer_leave_places_for_others() {
        let (address, _stop) = served(8).await;
        let mut silent = Vec::new();
        for _ in 0..8 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut here = TcpStream::connect(address).await.unwrap();
        assert_eq!(answer(&mut here).await, "");
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(address).await.unwrap();
        assert!(answer(&mut other).await.starts_with("HTTP/1.1 200"));
        // A place that is given back is another's.
        drop(silent);
        let mut again = String::new();
        while !again.starts_with("HTTP/1.1 200") {
            again = answer(&mut TcpStream::connect(address).await.unwrap()).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_asked_may_be_idle() {
        let (address, _stop) = served(8).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert!(answer(&mut stream).await.contains("here"));
        tokio::time::sleep(FIRST_REQUEST_TIMEOUT * 3).await;
        assert!(answer(&mut stream).await.contains("here"));
    }
}
