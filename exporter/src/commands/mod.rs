//! What the command line does besides running: each command says what it found in words, on standard output.

mod check;

use std::io::{self, Write as _};

pub use check::check;

/// Writes to standard output. Nothing is done about a reader that is gone.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
