//! An HTTP/1.1 and h2c server inside the test's process, which can break down like a real one.
//!
//! Stopping it cuts every connection at once and frees the port, so that its clients see what they
//! would see of a crash; starting it again takes the same port.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

use crate::system::{ports, wait};

/// Connections that may wait to be taken.
const BACKLOG: u32 = 4096;

/// Among a request's extensions: cuts the connection that it came on, unanswered.
#[derive(Clone, Debug, Default)]
pub struct Cut(Arc<Notify>);

impl Cut {
    /// Cuts it.
    pub async fn now(&self) {
        self.0.notify_one();
        // Whoever is waiting here goes with the connection.
        std::future::pending::<()>().await;
    }
}

/// A server on a port of its own.
#[derive(Debug)]
pub struct Server {
    router: Router,
    address: SocketAddr,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// Starts it on a free port.
    pub async fn start(router: Router) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), router).await
    }

    /// The same at another address of this machine, such as that of a bridge to containers.
    pub async fn start_at(ip: IpAddr, router: Router) -> Self {
        for _ in 0..5 {
            let address = SocketAddr::from((ip, ports::free().expect("a free port")));
            if let Ok(listener) = listen(address) {
                let running = tokio::spawn(serve(listener, router.clone()));
                return Self { router, address, running: Mutex::new(Some(running)) };
            }
        }
        panic!("five free ports were taken before the server could be started");
    }

    /// Where it listens, or listened.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection and refuses new ones.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some(running) = running {
            running.abort();
            // The listener and the connections are closed once the task is gone.
            let _ = running.await;
        }
    }

    /// Starts it again on its port, after a stop.
    pub async fn restart(&self) {
        self.stop().await;
        let listener = wait::poll(wait::DEADLINE, || async { listen(self.address).ok() })
            .await
            .expect("the server's port is still free");
        *self.running.lock().unwrap() = Some(tokio::spawn(serve(listener, self.router.clone())));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut().unwrap().take() {
            running.abort();
        }
    }
}

/// With room for callers that all come at once; the system may give less.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(listener: TcpListener, router: Router) {
    // Dropping the set, when this task is aborted, aborts every connection.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let cut = Cut::default();
        let service = TowerToHyperService::new(router.clone().layer(Extension(cut.clone())));
        connections.spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            tokio::select! {
                // A connection that breaks is the client's to notice.
                _ = builder.serve_connection(TokioIo::new(stream), service) => {}
                () = cut.0.notified() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;
    use crate::system::probe;

    #[tokio::test]
    async fn a_stopped_server_refuses_and_a_restarted_one_answers_on_the_same_port() {
        let server = Server::start(Router::new().route("/", get(|| async { "up" }))).await;
        let port = server.address().port();
        assert_eq!(probe::status(port, "/").await.expect("an answer"), 200);
        server.stop().await;
        assert!(!probe::connects(port).await);
        server.restart().await;
        assert_eq!(probe::status(port, "/").await.expect("an answer"), 200);
    }
}
