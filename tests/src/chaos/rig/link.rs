//! A connection between two components that can be slowed, stalled and cut: a TCP proxy of the harness's own, which
//! needs no rights that a test does not have.
//!
//! A stalled link takes connections and passes nothing, as a network does that swallows packets; once it is open
//! again, what was under way goes on. A cut one breaks what is open and breaks every new connection at once.

#![allow(clippy::panic, reason = "tests fail by panicking")]

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::system::ports;

/// Most bytes that pass in one piece.
const PIECE: usize = 16 << 10;

/// How a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// As if it were not there.
    #[default]
    Open,
    /// Every piece comes so much later, in either direction.
    Slow(Duration),
    /// Nothing passes.
    Stalled,
    /// Every connection breaks.
    Cut,
}

/// A link. Whoever connects to it reaches one of its targets, each in turn; one that refuses is passed over.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    flow: watch::Sender<Flow>,
    serving: JoinHandle<()>,
}

impl Link {
    /// One to these targets, on a free port.
    pub async fn to(targets: impl Into<Vec<SocketAddr>>) -> io::Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let listener = TcpListener::bind(address).await?;
        let flow = watch::Sender::new(Flow::Open);
        let serving = tokio::spawn(serve(listener, targets.into().into(), flow.subscribe()));
        Ok(Self { address, flow, serving })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes it so from now on.
    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, targets: Arc<[SocketAddr]>, flow: watch::Receiver<Flow>) {
    let turn = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    loop {
        let Ok((inner, _)) = listener.accept().await else { continue };
        let (targets, turn, mut flow) = (Arc::clone(&targets), Arc::clone(&turn), flow.clone());
        connections.spawn(async move {
            let cut = flow.clone();
            tokio::select! {
                () = until_cut(cut) => {}
                () = async {
                    passes(&mut flow).await;
                    let Some(outer) = connect(&targets, &turn).await else { return };
                    both_ways(inner, outer, flow).await;
                } => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// The first target, from the one whose turn it is, that takes a connection.
async fn connect(targets: &[SocketAddr], turn: &AtomicUsize) -> Option<TcpStream> {
    let first = turn.fetch_add(1, Ordering::Relaxed);
    for place in 0..targets.len() {
        let target = targets.get((first + place) % targets.len())?;
        if let Ok(stream) = TcpStream::connect(target).await {
            return Some(stream);
        }
    }
    None
}

async fn both_ways(inner: TcpStream, outer: TcpStream, flow: watch::Receiver<Flow>) {
    let _ = (inner.set_nodelay(true), outer.set_nodelay(true));
    let ((from_inner, to_inner), (from_outer, to_outer)) = (inner.into_split(), outer.into_split());
    let there = pass(from_inner, to_outer, flow.clone());
    let back = pass(from_outer, to_inner, flow);
    // Either side's error ends both; either side's end of file ends its own direction.
    let _ = tokio::try_join!(there, back);
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        passes(&mut flow).await;
        if read == 0 {
            return to.shutdown().await;
        }
        let later = if let Flow::Slow(by) = *flow.borrow() { by } else { Duration::ZERO };
        tokio::time::sleep(later).await;
        to.write_all(piece.get(..read).unwrap_or_default()).await?;
    }
}

/// Waits until something may pass.
async fn passes(flow: &mut watch::Receiver<Flow>) {
    if flow.wait_for(|flow| !matches!(flow, Flow::Stalled)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn until_cut(mut flow: watch::Receiver<Flow>) {
    if flow.wait_for(|flow| *flow == Flow::Cut).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use tokio::time::timeout;

    use super::*;
    use crate::{callers::client, fakes::server::Server};

    async fn server(word: &'static str) -> Server {
        Server::start(Router::new().route("/", get(move || async move { word }))).await
    }

    async fn ask(link: &Link) -> Option<String> {
        let url = format!("http://{}/", link.address());
        client::http().get(url).send().await.ok()?.text().await.ok()
    }

    #[tokio::test]
    async fn a_stalled_link_passes_nothing_and_goes_on_when_it_is_open_again() {
        let server = server("up").await;
        let link = Link::to([server.address()]).await.expect("a link");
        assert_eq!(ask(&link).await.as_deref(), Some("up"));
        link.set(Flow::Stalled);
        let (asked, ()) = tokio::join!(ask(&link), async {
            assert!(timeout(Duration::from_millis(100), ask(&link)).await.is_err());
            link.set(Flow::Open);
        });
        assert_eq!(asked.as_deref(), Some("up"));
    }

    #[tokio::test]
    async fn a_cut_link_breaks_what_is_open_and_what_comes() {
        let server = server("up").await;
        let link = Link::to([server.address()]).await.expect("a link");
        let mut open = TcpStream::connect(link.address()).await.expect("a connection");
        open.write_all(b"GET /").await.expect("written");
        link.set(Flow::Cut);
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_secs(5), open.read_to_end(&mut rest)).await.expect("it ends");
        assert_eq!((rest.len(), ask(&link).await), (0, None));
        link.set(Flow::Open);
        assert_eq!(ask(&link).await.as_deref(), Some("up"));
    }

    #[tokio::test]
    async fn connections_go_to_the_targets_in_turn_and_pass_over_one_that_is_gone() {
        let (one, two) = (server("one").await, server("two").await);
        let link = Link::to([one.address(), two.address()]).await.expect("a link");
        assert_ne!(ask(&link).await, ask(&link).await);
        one.stop().await;
        for _ in 0..3 {
            assert_eq!(ask(&link).await.as_deref(), Some("two"));
        }
    }
}
