//! `weir-config`: checks gateway.yaml and renders it. What it renders goes to standard output, and
//! what an operator should know beside it to standard error.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use weir_config::{Gateway, NewKey, envoy, schema};

#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a gateway.yaml and say what is wrong with it.
    Check {
        /// The file.
        gateway: PathBuf,
    },
    /// Render a whole Envoy bootstrap.
    Envoy {
        /// The file.
        gateway: PathBuf,
        /// The filter's .wasm file, as Envoy will see it.
        #[arg(long, default_value = "/etc/weir/weir_filter.wasm")]
        wasm: PathBuf,
        /// A directory for resource files, as Envoy will see it, which are written there: by them
        /// Envoy reads a key's file anew when it is replaced. Without it Envoy reads keys once.
        #[arg(long)]
        secrets_dir: Option<PathBuf>,
    },
    /// Print the JSON schema of gateway.yaml, for editors.
    Schema,
    /// Make keys for callers.
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Print a fresh key, this once, and its line for gateway.yaml, which holds its digest alone.
    New {
        /// The key's name in events and messages: letters, digits, '-', '_', '.' or '@'.
        #[arg(long)]
        name: String,
    },
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where not even this can be written, the exit code has to do.
            let _ = writeln!(io::stderr(), "weir-config: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Check { gateway } => {
            let checked = read(&gateway)?;
            writeln!(
                io::stdout(),
                "{}: good; {} providers, {} models. Next: weir-config envoy {}",
                gateway.display(),
                checked.providers.len(),
                checked.models.len(),
                gateway.display(),
            )?;
        }
        Command::Envoy { gateway, wasm, secrets_dir } => {
            let wasm = absolute("--wasm", &wasm)?;
            let secrets_dir = secrets_dir.map(|dir| absolute("--secrets-dir", &dir)).transpose()?;
            let rendered = envoy::bootstrap(&read(&gateway)?, &envoy::Options { wasm, secrets_dir })?;
            rendered.write_secrets().context("cannot write the files of --secrets-dir")?;
            io::stdout().write_all(rendered.bootstrap.as_bytes())?;
        }
        Command::Schema => io::stdout().write_all(schema().as_bytes())?,
        Command::Key(KeyCommand::New { name }) => {
            let key = NewKey::generate(&name)?;
            writeln!(
                io::stdout(),
                "{}\n\nGive it to its holder now: it is not kept, and not shown again. Its line under `keys:` in \
                 gateway.yaml:\n\n  {}",
                key.secret,
                key.line(),
            )?;
        }
    }
    Ok(())
}

fn absolute(option: &str, path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{option} {}", path.display()))
}

/// Reads and checks a gateway.yaml, and warns of what is allowed and seldom meant.
fn read(path: &Path) -> anyhow::Result<Gateway> {
    let yaml = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let gateway = Gateway::parse(&yaml).with_context(|| path.display().to_string())?;
    if gateway.is_open() {
        writeln!(
            io::stderr(),
            "warning: {}: there are no `keys` and no `jwt`, so whoever reaches {} may use every provider. \
             Make a key: weir-config key new --name NAME",
            path.display(),
            gateway.listen,
        )?;
    }
    Ok(gateway)
}
