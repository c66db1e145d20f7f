//! What commands print.

use std::io::{self, Write as _};

/// Writes to standard output. Nothing is done about a reader that is gone.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
