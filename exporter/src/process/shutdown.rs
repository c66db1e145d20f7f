//! Signals: the first SIGTERM or SIGINT asks for an orderly stop, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// What a shell shows for a process that SIGINT ended.
const EXIT_ON_SECOND_SIGNAL: i32 = 130;

/// A token that is cancelled by the first SIGTERM or SIGINT.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let name = next(&mut terminate, &mut interrupt).await;
        info!(signal = name, "stopping");
        cancelled.cancel();
        let name = next(&mut terminate, &mut interrupt).await;
        warn!(signal = name, "second signal: leaving at once, what is under way is redelivered later");
        std::process::exit(EXIT_ON_SECOND_SIGNAL);
    });
    Ok(token)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
