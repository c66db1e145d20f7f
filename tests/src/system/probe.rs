//! Small questions to a server on loopback: does it listen, and which status does it answer with?

use std::{sync::LazyLock, time::Duration};

use tokio::{net::TcpStream, time::timeout};

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// A request that takes longer than this hangs.
const HANGS: Duration = Duration::from_secs(30);

/// The HTTP client of all tests. It keeps no connections: every test has its own runtime.
#[allow(clippy::expect_used, reason = "it is built without anything that can fail")]
pub fn http() -> reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // An error means that it is installed already. Tests speak plain HTTP, but the client asks.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(HANGS).pool_max_idle_per_host(0).no_proxy();
        client.build().expect("a client")
    });
    CLIENT.clone()
}

/// Whether somebody listens on this port of 127.0.0.1.
pub async fn connects(port: u16) -> bool {
    matches!(timeout(DEADLINE, TcpStream::connect(("127.0.0.1", port))).await, Ok(Ok(_)))
}

/// The status of the response to a GET of the path on this port of 127.0.0.1.
pub async fn status(port: u16, path: &str) -> reqwest::Result<u16> {
    let request = http().get(format!("http://127.0.0.1:{port}{path}")).timeout(DEADLINE);
    Ok(request.send().await?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn the_status_is_that_of_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accept");
            let _ = stream.read(&mut [0; 1024]).await.expect("a request");
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.expect("write");
        });
        assert_eq!(status(port, "/readyz").await.expect("an answer"), 503);
        server.await.expect("the server's task");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let port = crate::system::ports::free().expect("a port");
        assert!(!connects(port).await);
        assert!(status(port, "/").await.is_err());
    }
}
