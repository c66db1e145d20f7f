//! `weir-config`: checks gateway.yaml and renders it. What it renders goes to standard output.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};
use weir_config::{Gateway, envoy};

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
    },
}

fn main() -> anyhow::Result<()> {
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
        Command::Envoy { gateway, wasm } => {
            let wasm = std::path::absolute(&wasm).with_context(|| format!("--wasm {}", wasm.display()))?;
            let rendered = envoy::bootstrap(&read(&gateway)?, &envoy::Options { wasm })?;
            io::stdout().write_all(rendered.as_bytes())?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Gateway> {
    let yaml = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Gateway::parse(&yaml).with_context(|| path.display().to_string())
}
