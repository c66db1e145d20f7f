//! `ready`: what `/readyz` says, as an exit code, for containers that have no shell.

use std::time::Duration;

use anyhow::bail;

use super::output::{no_exporter, say};
use crate::app::settings::Settings;

/// Timeout of the request.
const DEADLINE: Duration = Duration::from_secs(3);

/// As much of the reason as is shown, in bytes.
const MAX_REASON: usize = 512;

/// Asks the exporter that these settings describe.
pub async fn ready(settings: &Settings) -> anyhow::Result<()> {
    let url = format!("http://{}/readyz", settings.admin_listen);
    let failed = |error: reqwest::Error| no_exporter(&url, &error.without_url());
    let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().map_err(failed)?;
    let mut response = client.get(&url).send().await.map_err(failed)?;
    if response.status().is_success() {
        say("ready");
        return Ok(());
    }
    let first = response.chunk().await.map_err(failed)?.unwrap_or_default();
    let reason = first.get(..first.len().min(MAX_REASON)).unwrap_or_default();
    bail!("not ready: {}", String::from_utf8_lossy(reason).trim())
}
