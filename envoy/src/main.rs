//! `weir-config`: checks gateway.yaml and renders it.

mod cli;
mod commands;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use cli::{BusCommand, Cli, Command, KeyCommand};
use weir_config::{schema, settings};

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
        Command::Check { gateway } => commands::check(&gateway),
        Command::Envoy(args) => commands::render(args),
        Command::Istio(args) => commands::istio(args),
        Command::EnvoyGateway(args) => commands::envoy_gateway(args),
        Command::Plugin { gateway, role } => commands::plugin(&gateway, role),
        Command::Drain(args) => commands::drain(&args),
        Command::Import { from, file } => commands::import(from, &file),
        Command::Schema { markdown } => {
            let text = if markdown { settings() } else { schema() };
            Ok(io::stdout().write_all(text.as_bytes())?)
        }
        Command::Bus(BusCommand::New { dir, hosts, server_dir }) => commands::bus(&dir, hosts, server_dir),
        Command::Image { wasm, output, tag } => commands::image(&wasm, &output, &tag),
        Command::Key(KeyCommand::New { name }) => commands::key(&name),
    }
}
