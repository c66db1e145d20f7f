//! Scripts in `python/`, run where the official packages of the APIs are installed.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::system::tools;

/// Far above what many calls in one script need: only a script that hangs meets it.
const DEADLINE: Duration = Duration::from_secs(120);

/// What leads requests to a proxy, which loopback has none of.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Runs a script with these arguments and variables, and returns what it printed.
pub async fn run(script: &str, arguments: &[&str], env: &[(&str, &str)]) -> String {
    let python = tools::clients_python().unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(python);
    // Nothing is written beside the sources.
    command.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script)).args(arguments);
    for proxy in PROXIES {
        command.env_remove(proxy);
    }
    let running = command.envs(env.iter().copied()).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(DEADLINE, running).await.expect("it ends").expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {arguments:?}: {}\n{printed}\n{errors}", output.status);
    printed
}
