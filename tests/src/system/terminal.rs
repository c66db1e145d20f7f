//! What programs of the harness print, and how they end.

use std::{fmt::Display, fs, io::Write, num::ParseIntError, path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use serde_json::Value;

/// Writes a line to the terminal. Nothing is done about a terminal that is gone.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The exit code of the program of this name: success if all was good; an error is printed.
pub fn exit_code<E: Display>(program: &str, result: Result<bool, E>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("{program}: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A flag's whole seconds.
pub fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}

/// Prints the table of a bench and writes its figures as JSON, with the folders that lead to the file.
pub fn publish(path: &Path, table: &str, figures: &Value) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, format!("{figures:#}\n")).with_context(|| path.display().to_string())?;
    say(&format!("\n{table}\n\nWritten to {}", path.display()));
    Ok(())
}
