//! The exporter's command: reads flags and environment, starts logging, runs until it is stopped.
//!
//! Everything else is in the library. The first SIGTERM or SIGINT asks for an orderly stop, the second
//! ends the process at once.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use weir_exporter::{
    Exporter,
    app::reload::Source,
    cli::{Cli, Command, SettingsKey},
    commands, config,
    process::{env::Env, logging, shutdown},
    saved_destinations::seal::SealingKeys,
};

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where not even this can be written, the exit code has to do.
            let _ = writeln!(io::stderr(), "weir-exporter: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if cli.command == Some(Command::Schema) {
        io::stdout().write_all(config::schema().as_bytes())?;
        return Ok(());
    }
    if cli.command == Some(Command::SettingsKey(SettingsKey::New)) {
        writeln!(io::stdout(), "{}", SealingKeys::generate()?)?;
        return Ok(());
    }
    let source = Source { role: cli.role(), flags: cli.flags, env: Env::of_process() };
    let settings = source.load()?;
    logging::start(settings.log_format);
    weir_exporter::install_provider();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(async {
            match cli.command.unwrap_or(Command::Run) {
                Command::Run | Command::Ingest | Command::Ship => {
                    let stop = shutdown::on_signals().context("cannot listen for signals")?;
                    let exporter = Exporter::bind(source, settings).await?;
                    exporter.run(stop).await?;
                }
                Command::Check => commands::check(&settings)?,
                Command::TestDestination { name } => commands::test_destination(&settings, &name).await?,
                Command::Ready => commands::ready(&settings).await?,
                Command::Status { json } => commands::status(&settings, json).await?,
                Command::DeadLetters(command) => commands::dead_letters(&settings, &command).await?,
                Command::RemoveDestination { name, yes } => commands::remove(&settings, &name, yes).await?,
                Command::SettingsKey(_) => commands::reseal(&settings).await?,
                Command::Schema => {}
            }
            Ok(())
        })
}
