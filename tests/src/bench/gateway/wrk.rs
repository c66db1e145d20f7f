//! The saturating load, by wrk (https://github.com/wg/wrk).

use std::{io::Write, process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use tempfile::NamedTempFile;

use super::load;
use crate::{measure::cpu::Pins, system::tools};

/// What a round brought.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Requests that were answered.
    pub requests: f64,
    /// The same for each second.
    pub per_second: f64,
}

/// How long an answer may take, in seconds: far more than it should.
const TIMEOUT: u32 = 30;

/// A script for wrk that asks with a prompt of this size.
pub fn script(size: usize, headers: &load::Headers) -> anyhow::Result<NamedTempFile> {
    let mut file = NamedTempFile::with_prefix("weir-bench-")?;
    writeln!(file, "wrk.method = 'POST'")?;
    for (name, value) in headers {
        writeln!(file, "wrk.headers['{name}'] = [==[{value}]==]")?;
    }
    writeln!(file, "wrk.body = [==[{}]==]", load::body(size, false))?;
    file.flush()?;
    Ok(file)
}

/// One round against a gateway. An answer that is not 2xx is an error.
pub async fn run(
    pins: &Pins,
    script: &NamedTempFile,
    port: u16,
    connections: usize,
    each: Duration,
) -> anyhow::Result<Round> {
    let seconds = each.as_secs().max(1);
    let args = [
        "-t1".to_owned(),
        format!("-c{connections}"),
        format!("-d{seconds}"),
        format!("--timeout={TIMEOUT}s"),
        "-s".to_owned(),
        script.path().display().to_string(),
        format!("http://127.0.0.1:{port}{}", load::PATH),
    ];
    let wrk = tools::in_path("wrk").context("wrk is missing: Debian's package of that name has it")?;
    let (program, args) = pins.pinned(pins.others, wrk, args.map(Into::into).into());
    let output = tokio::process::Command::new(program).args(args).stdin(Stdio::null()).output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {}", String::from_utf8_lossy(&output.stderr));
    read(&text).with_context(|| format!("wrk said:\n{text}"))
}

fn read(text: &str) -> anyhow::Result<Round> {
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        bail!("not every request was answered well: {}", line.trim());
    }
    let line = text.lines().find(|line| line.contains(" requests in ")).context("no count of requests")?;
    let (requests, rest) = line.trim().split_once(' ').context("no count of requests")?;
    let requests: f64 = requests.parse()?;
    let took = rest.split_ascii_whitespace().nth(2).and_then(|took| took.strip_suffix("s,"));
    let seconds: f64 = took.context("no duration in seconds")?.parse()?;
    Ok(Round { requests, per_second: requests / seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read_and_a_bad_answer_is_an_error() {
        let text = "Running 2s test @ http://127.0.0.1:1/\n  20046 requests in 2.50s, 7.38MB read\nRequests/sec: 8018.40\n";
        let round = read(text).expect("a round");
        assert!((round.requests - 20_046.0).abs() < 0.1 && (round.per_second - 8018.4).abs() < 0.1);
        let bad = format!("{text}  Non-2xx or 3xx responses: 7\n");
        assert!(read(&bad).expect_err("an error").to_string().contains("responses: 7"));
    }
}
