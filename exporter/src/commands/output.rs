//! What commands print.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

/// The error of a command that needs `--yes`.
pub(super) const UNCONFIRMED: &str = "nothing was changed: say --yes to do it";

/// Writes to standard output. Nothing is done about a reader that is gone.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// The error where no exporter responds.
pub(super) fn no_exporter(url: &str, why: &dyn Display) -> anyhow::Error {
    anyhow::anyhow!("no exporter answers at {url}: {why}; is it running, and is --admin-listen right?")
}
