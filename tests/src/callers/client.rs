//! A caller of the gateway: an ordinary HTTP client, one that writes raw bytes, and the trace
//! context that a caller starts.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub use crate::system::probe::http;

/// A request that takes longer than this hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A caller's own trace: what it sends in `traceparent`, and what the trace is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 32 hex digits.
    pub trace_id: String,
    /// The caller's span, 16 hex digits.
    pub span_id: String,
}

impl Trace {
    /// A new one, at random.
    pub fn new() -> Self {
        // Odd, so that neither is zero, which would be invalid.
        let (trace_id, span_id) = (fastrand::u128(..) | 1, fastrand::u64(..) | 1);
        Self { trace_id: format!("{trace_id:032x}"), span_id: format!("{span_id:016x}") }
    }

    /// The header's value, sampled (W3C Trace Context, 3.2).
    pub fn parent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends these bytes on a connection of their own and reads until the other side closes it: send
/// `connection: close`.
pub async fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(request).await.expect("the request is written");
        let mut answer = Vec::new();
        // A server that has answered may reset the rest; what was read stands.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    timeout(DEADLINE, exchange).await.expect("an answer that ends")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_the_form_of_the_specification() {
        let trace = Trace::new();
        let parent = trace.parent();
        assert_eq!(parent.len(), 55);
        assert_eq!(parent.split('-').map(str::len).collect::<Vec<_>>(), [2, 32, 16, 2]);
        assert_ne!(trace, Trace::new());
    }
}
