//! A provider that keeps to no rule: it says bytes on a socket, before, during or after the request.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// When it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// When the whole request is here.
    After,
    /// When the request's head is here, and then it reads no more of it.
    Early,
}

/// What it says to each request, before it closes the connection.
#[derive(Clone, Debug)]
pub struct Says {
    begin: Begin,
    pieces: Vec<Bytes>,
    times: usize,
}

impl Says {
    /// These bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::pieces([bytes.into()])
    }

    /// These bytes, each piece in a packet of its own.
    pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self { begin: Begin::After, pieces: pieces.into_iter().collect(), times: 1 }
    }

    /// A head with 200 and these lines, then a body that ends with the connection.
    pub fn answer(lines: &str, body: impl Into<Bytes>) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{lines}\r\n");
        Self::pieces([head.into(), body.into()])
    }

    /// A stream of events in these pieces.
    pub fn events(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
        Self::pieces([Bytes::from_static(head.as_bytes())].into_iter().chain(pieces))
    }

    /// The last piece so many times.
    pub fn repeating(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Before it has read the request.
    pub fn early(self) -> Self {
        Self { begin: Begin::Early, ..self }
    }
}

/// One that listens.
pub struct RawProvider {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    running: JoinHandle<()>,
}

impl RawProvider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let says = Arc::new(Mutex::new(Says::whole("")));
        let script = Arc::clone(&says);
        let running = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let says = script.lock().expect("unpoisoned").clone();
                // A gateway that turns away in between is what may happen here.
                tokio::spawn(async move { drop(serve(stream, says).await) });
            }
        });
        Self { address, says, running }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says this from now on.
    pub fn says(&self, says: Says) {
        *self.says.lock().expect("unpoisoned") = says;
    }
}

impl Drop for RawProvider {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn serve(mut stream: TcpStream, says: Says) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let head = loop {
        if let Some(end) = find(&request, b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    if says.begin == Begin::After {
        let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.and_then(|digits| digits.parse().ok()).unwrap_or(0);
        while request.len() < head + length {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
    }
    let (last, first) = says.pieces.split_last().expect("something to say");
    for piece in first {
        stream.write_all(piece).await?;
        tokio::task::yield_now().await;
    }
    for _ in 0..says.times {
        stream.write_all(last).await?;
    }
    stream.shutdown().await?;
    // What the gateway still sends is read, or the answer would be lost with a reset.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
