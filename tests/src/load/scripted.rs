//! A server that answers in the mood it is put into and keeps a record of what came: what stands at both ends of
//! the load.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::Router;

use crate::fakes::server::Server;

/// A record that the server's handlers write and the test reads.
pub type Shared<R> = Arc<Mutex<R>>;

/// What such a server keeps.
pub trait Record: Send + 'static {
    /// How it can be told to answer.
    type Mood;
    /// How it answers.
    fn mood(&mut self) -> &mut Self::Mood;
}

/// A running server.
#[derive(Debug)]
pub struct Scripted<R> {
    server: Server,
    record: Shared<R>,
}

impl<R: Record> Scripted<R> {
    /// Starts one whose handlers share the record.
    pub(super) async fn over(record: R, router: Router<Shared<R>>) -> Self {
        let record = Arc::new(Mutex::new(record));
        Self { server: Server::start(router.with_state(Arc::clone(&record))).await, record }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The server, to stop and restart it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Answers like this from now on.
    pub fn set(&self, mood: R::Mood) {
        *self.record().mood() = mood;
    }

    /// What came so far.
    pub(super) fn record(&self) -> MutexGuard<'_, R> {
        lock(&self.record)
    }
}

/// The record, also after a handler that panicked.
pub(super) fn lock<R>(record: &Mutex<R>) -> MutexGuard<'_, R> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
