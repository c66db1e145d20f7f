//! HTTP/1.1 and HTTP/2 with prior knowledge (h2c) on one port, with a bounded number of connections and an
//! orderly end.
//!
//! At shutdown nothing new is accepted, requests in handling are answered, and what has not ended by the
//! deadline is cut.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Connections open at once; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 1024;

/// How long an HTTP/1 connection may take over a request's head, idle time between requests included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);

/// How often an HTTP/2 connection is asked whether it still lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// How long requests in handling have to end at shutdown.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// How long accepting pauses after it failed, out of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then ends in order.
pub async fn serve(name: &'static str, listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(MAX_STREAMS);
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    let service = TowerToHyperService::new(router);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            io::Result::Ok((place, stream))
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = next => accepted,
        };
        let (place, stream): (_, TcpStream) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(listener = name, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(listener = name, %error, "cannot set TCP_NODELAY");
        }
        let connection = builder.serve_connection(TokioIo::new(stream), service.clone()).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(listener = name, error, "connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if timeout(END_DEADLINE, graceful.shutdown()).await.is_err() {
        warn!(listener = name, "requests in handling were cut at the deadline");
    }
}
