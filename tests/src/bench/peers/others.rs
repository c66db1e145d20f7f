//! The gateways that are compared, each with one worker on the same core.

use std::{ffi::OsString, fs, path::PathBuf};

use anyhow::Context;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    bench::gateway::{
        envoys::Gateways,
        kind::Kind,
        load::{self, Headers},
        server::Served,
    },
    measure::cpu::Pins,
    system::{
        ports,
        process::{Process, Ready, Spec},
        tools,
    },
};

/// The caller's key at LiteLLM, which takes none without this prefix.
const LITELLM_KEY: &str = "sk-bench-caller";

/// Starts all.
pub async fn start(pins: &Pins) -> anyhow::Result<Gateways> {
    let mut all = Gateways::start(pins).await?;
    all.running.insert(Kind::Portkey, portkey(pins).await.context("Portkey's gateway")?);
    let litellm = litellm(pins, &all.provider).await.context("LiteLLM's proxy")?;
    all.running.insert(Kind::LiteLlm, litellm);
    Ok(all)
}

/// What a request to one has to say of itself.
pub fn headers(gateways: &Gateways, kind: Kind) -> Headers {
    let content_type = ("content-type", "application/json".to_owned());
    match kind {
        Kind::Bare | Kind::Noop | Kind::Weir => load::headers(),
        Kind::LiteLlm => vec![content_type, ("authorization", format!("Bearer {LITELLM_KEY}"))],
        Kind::Portkey => {
            let config = json!({
                "provider": "openai",
                "api_key": "sk-bench",
                "custom_host": format!("http://{}/v1", gateways.provider.address),
                "override_params": { "model": "gpt-4o" },
            });
            vec![content_type, ("x-portkey-config", config.to_string())]
        }
    }
}

/// Which versions are compared, by name.
pub async fn versions() -> anyhow::Result<Vec<(&'static str, String)>> {
    let package = tools::portkey()?.join("node_modules/@portkey-ai/gateway/package.json");
    let package: Value = serde_json::from_slice(&fs::read(package)?)?;
    let python = tools::litellm_python()?;
    let litellm = "import importlib.metadata as m; print(m.version('litellm'))";
    // A commit, the version and how it was built, between slashes.
    let envoy = said(&tools::envoy()?, &["--version"]).await?;
    let envoy =
        envoy.rsplit(' ').next().and_then(|build| build.split('/').nth(1)).unwrap_or(&envoy).to_owned();
    Ok(vec![
        ("weir", weir_event::VERSION.to_owned()),
        ("envoy", envoy),
        ("portkey", package.get("version").and_then(Value::as_str).unwrap_or_default().to_owned()),
        ("node", said(&node()?, &["--version"]).await?),
        ("litellm", said(&python, &["-c", litellm]).await?),
        ("python", said(&python, &["--version"]).await?),
    ])
}

async fn said(program: &PathBuf, args: &[&str]) -> anyhow::Result<String> {
    let output = tokio::process::Command::new(program).args(args).output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| !line.trim().is_empty());
    Ok(line.with_context(|| format!("{} printed no version", program.display()))?.trim().to_owned())
}

fn node() -> anyhow::Result<PathBuf> {
    tools::in_path("node").context("node is missing: Portkey's gateway runs in it")
}

/// In Node, as its own command starts it, without the page that it would show. What it routes to comes with
/// each request.
async fn portkey(pins: &Pins) -> anyhow::Result<(Process, u16)> {
    let (port, dir) = (ports::free()?, TempDir::with_prefix("weir-bench-")?);
    let program = tools::portkey()?.join("node_modules/@portkey-ai/gateway/build/start-server.js");
    let args = vec![program.into(), format!("--port={port}").into(), "--headless".into()];
    // It leads to no private address otherwise.
    let env = vec![
        ("TRUSTED_CUSTOM_HOSTS".to_owned(), "127.0.0.1".into()),
        ("NODE_ENV".to_owned(), "production".into()),
    ];
    started(pins, "portkey", node()?, args, env, (port, dir), Ready::Tcp(port)).await
}

/// With one worker, a master key and no database, logs for errors alone.
async fn litellm(pins: &Pins, provider: &Served) -> anyhow::Result<(Process, u16)> {
    let (port, dir) = (ports::free()?, TempDir::with_prefix("weir-bench-")?);
    let config = json!({
        "model_list": [{
            "model_name": "smart",
            "litellm_params": {
                "model": "openai/gpt-4o",
                "api_base": format!("http://{}/v1", provider.address),
                "api_key": "sk-bench",
            },
        }],
        "general_settings": { "master_key": LITELLM_KEY },
        "litellm_settings": { "telemetry": false },
    });
    let file = dir.path().join("litellm.yaml");
    fs::write(&file, config.to_string())?;
    let python = tools::litellm_python()?;
    // The script names a Python that was moved since.
    let mut args: Vec<OsString> = vec![python.with_file_name("litellm").into()];
    args.extend(["--host", "127.0.0.1", "--num_workers", "1", "--port"].map(Into::into));
    args.extend([port.to_string().into(), "--config".into(), file.into()]);
    let env =
        [("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("LITELLM_LOG", "ERROR"), ("LITELLM_TELEMETRY", "False")];
    let env = env.map(|(name, value)| (name.to_owned(), value.into())).into();
    started(pins, "litellm", python, args, env, (port, dir), Ready::Http(port, "/health/liveliness")).await
}

async fn started(
    pins: &Pins,
    name: &'static str,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    (port, dir): (u16, TempDir),
    ready: Ready,
) -> anyhow::Result<(Process, u16)> {
    let (program, args) = pins.pinned(pins.gateway, program, args);
    let spec = Spec { env, ..Spec::new(name, program, args, ready) };
    Ok((Process::start(spec, dir).await?, port))
}
