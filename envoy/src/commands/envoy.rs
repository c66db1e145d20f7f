//! Renders for an Envoy: a bootstrap, parts of one, or files that it reads anew.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use weir_config::{Admin, envoy};

use super::check::read;
use crate::cli::EnvoyArgs;

/// Renders what an Envoy needs.
pub(crate) fn render(args: EnvoyArgs) -> anyhow::Result<()> {
    let mut gateway = read(&args.gateway)?;
    for lost in args.envoy_version.map(|version| version.limit(&mut gateway)).unwrap_or_default() {
        writeln!(io::stderr(), "lost: {lost}")?;
    }
    if args.check_environment {
        gateway.check_environment().with_context(|| args.gateway.display().to_string())?;
    }
    let variables = gateway.variables();
    if !args.check_environment && !variables.is_empty() {
        let named: Vec<String> =
            variables.iter().map(|(field, variable)| format!("{variable} ({field})")).collect();
        writeln!(io::stderr(), "Envoy's environment must have: {}", named.join(", "))?;
    }
    let wasm = absolute("--wasm", &args.wasm)?;
    let secrets_dir = args.secrets_dir.map(|dir| absolute("--secrets-dir", &dir)).transpose()?;
    let options = envoy::Options { wasm: wasm.clone(), secrets_dir };
    if let Some(from) = args.copy_wasm {
        let filter = fs::read(&from).with_context(|| format!("--copy-wasm {}", from.display()))?;
        replace(&wasm, &filter).with_context(|| format!("--wasm {}", wasm.display()))?;
    }
    let text = match args.xds_dir {
        Some(dir) => {
            let hot = envoy::hot(&gateway, &options, &absolute("--xds-dir", &dir)?)?;
            let admin = args.admin.as_deref().map(Admin::new).or_else(|| gateway.admin.map(Admin::at));
            let done = hot.publish(admin.as_ref(), SystemTime::now()).context("--xds-dir")?;
            let state = match (&admin, done.taken) {
                _ if done.written.is_empty() => "nothing has changed".to_owned(),
                (_, true) => "Envoy has taken it".to_owned(),
                (Some(admin), false) => {
                    format!("no Envoy responds at {}, so it is for the next one that starts", admin.url())
                }
                (None, false) => {
                    "there is no admin interface to ask, so whether Envoy takes it is unknown".to_owned()
                }
            };
            writeln!(io::stderr(), "{} files written; {state}", done.written.len())?;
            if !done.retired.is_empty() {
                let minutes = envoy::KEEP_RETIRED.as_secs() / 60;
                let names = done.retired.join(", ");
                writeln!(
                    io::stderr(),
                    "kept for requests under way, until a rendering {minutes} minutes from now or later: {names}"
                )?;
            }
            hot.bootstrap
        }
        None => {
            let rendered = if args.fragment {
                envoy::fragment(&gateway, &options)?
            } else {
                envoy::bootstrap(&gateway, &options)?
            };
            rendered.write_secrets().context("cannot write the files of --secrets-dir")?;
            rendered.bootstrap
        }
    };
    match args.output {
        Some(file) => {
            replace(&file, text.as_bytes()).with_context(|| format!("--output {}", file.display()))?;
        }
        None => io::stdout().write_all(text.as_bytes())?,
    }
    Ok(())
}

fn absolute(option: &str, path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{option} {}", path.display()))
}

/// Replaces a file atomically: a concurrent reader sees the old one or the new one, whole.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, content)?;
    fs::rename(unfinished, path)
}
