//! One small HTTP request to a server on loopback: is it ready, does it take this command?
//!
//! Plain HTTP/1.1, one connection a request, bounded in time and in what is read.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long one request may take, from connecting to the status line.
const DEADLINE: Duration = Duration::from_secs(5);

/// A status line is shorter than this.
const MAX_STATUS_LINE: usize = 64;

/// Whether somebody listens on this port of 127.0.0.1.
pub async fn connects(port: u16) -> bool {
    matches!(timeout(DEADLINE, TcpStream::connect(("127.0.0.1", port))).await, Ok(Ok(_)))
}

/// Sends a request without a body to this port of 127.0.0.1 and gives the status of the answer.
///
/// # Errors
/// Whatever connecting, writing or reading gives; `TimedOut` after 5 s; `InvalidData` when the
/// answer is not HTTP/1.1.
pub async fn status(method: &str, port: u16, path: &str) -> io::Result<u16> {
    timeout(DEADLINE, exchange(method, port, path)).await.map_err(io::Error::other)?
}

async fn exchange(method: &str, port: u16, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.contains(&b'\n') && head.len() < MAX_STATUS_LINE {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    let line = String::from_utf8_lossy(&head);
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an answer in HTTP/1.1"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_status_is_that_of_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accept");
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.expect("write");
        });
        assert_eq!(status("GET", port, "/readyz").await.expect("an answer"), 503);
        server.await.expect("the server's task");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let port = crate::system::ports::free().expect("a port");
        assert!(!connects(port).await);
        assert!(status("GET", port, "/").await.is_err());
    }
}
