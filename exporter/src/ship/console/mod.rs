//! The console destination: prints each trace to standard output as a tree.
//!
//! Colours only where standard output is a terminal. What a caller or a provider chose (a model's name, a
//! path) is printed without control characters, so a trace cannot drive the terminal.

mod tree;

use std::{io::IsTerminal as _, time::Duration};

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::{io::AsyncWriteExt as _, time::timeout};

use crate::otlp::Outcome;

/// How long standard output may take over one batch.
const PRINT_DEADLINE: Duration = Duration::from_secs(10);

/// Prints traces.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    colours: bool,
}

impl Console {
    /// A console on standard output.
    pub fn stdout() -> Self {
        Self { colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// The text of these spans, one tree a request.
    pub fn render(&self, service: &str, spans: &[Span]) -> String {
        tree::render(service, spans, self.colours)
    }

    /// Writes a text out.
    pub async fn print(&self, text: &Bytes) -> Outcome {
        let written = async {
            let mut stdout = tokio::io::stdout();
            stdout.write_all(text).await?;
            stdout.flush().await
        };
        match timeout(PRINT_DEADLINE, written).await {
            Ok(Ok(())) => Outcome::Delivered { rejected: 0 },
            Ok(Err(error)) => Outcome::Misconfigured { reason: format!("standard output: {error}") },
            Err(_) => Outcome::Retry { after: None, reason: "standard output takes nothing".to_owned() },
        }
    }
}
