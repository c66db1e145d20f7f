//! `weir-config`: checks gateway.yaml and renders it. What it renders goes to standard output, and
//! what an operator should know beside it to standard error.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use weir_config::{Gateway, NewKey, bus, envoy, image, schema};

#[derive(Parser)]
#[command(version = weir_event::VERSION, about, disable_help_subcommand = true)]
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
        /// Write the bootstrap to this file, in one move, and not to standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Copy the filter from there to --wasm, for an Envoy whose image does not have it.
        #[arg(long, value_name = "FILE")]
        copy_wasm: Option<PathBuf>,
        /// Fail where an environment variable is not set that Envoy will need, for where both have the same.
        #[arg(long)]
        check_environment: bool,
    },
    /// Print the JSON schema of gateway.yaml, for editors.
    Schema,
    /// Make what NATS and the exporter know one another by.
    #[command(subcommand)]
    Bus(BusCommand),
    /// Write the filter as an OCI image, as an image layout that `skopeo copy oci:DIR docker://…` pushes.
    Image {
        /// The filter's .wasm file.
        #[arg(long)]
        wasm: PathBuf,
        /// The directory that the layout is written into.
        #[arg(long)]
        output: PathBuf,
        /// The image's name in the layout.
        #[arg(long, default_value = "latest")]
        tag: String,
    },
    /// Make keys for callers.
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Subcommand)]
enum BusCommand {
    /// Make certificates, NATS's users and the ingest's token, where they are not there yet: a directory each
    /// for nats (with its nats.conf), ingest, ship, settings and envoy.
    New {
        /// The directory that they are made in.
        #[arg(long)]
        dir: PathBuf,
        /// A name by which NATS is reached; each of several is a node of a cluster.
        #[arg(long = "host", default_value = "nats")]
        hosts: Vec<String>,
        /// Where NATS will see its directory.
        #[arg(long, default_value = "/etc/weir/nats")]
        server_dir: PathBuf,
    },
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
        Command::Envoy { gateway: path, wasm, secrets_dir, output, copy_wasm, check_environment } => {
            let wasm = absolute("--wasm", &wasm)?;
            let secrets_dir = secrets_dir.map(|dir| absolute("--secrets-dir", &dir)).transpose()?;
            let gateway = read(&path)?;
            if check_environment {
                gateway.check_environment().with_context(|| path.display().to_string())?;
            }
            let rendered = envoy::bootstrap(&gateway, &envoy::Options { wasm: wasm.clone(), secrets_dir })?;
            rendered.write_secrets().context("cannot write the files of --secrets-dir")?;
            if let Some(from) = copy_wasm {
                let filter = fs::read(&from).with_context(|| format!("--copy-wasm {}", from.display()))?;
                replace(&wasm, &filter).with_context(|| format!("--wasm {}", wasm.display()))?;
            }
            match output {
                Some(file) => replace(&file, rendered.bootstrap.as_bytes())
                    .with_context(|| format!("--output {}", file.display()))?,
                None => io::stdout().write_all(rendered.bootstrap.as_bytes())?,
            }
        }
        Command::Schema => io::stdout().write_all(schema().as_bytes())?,
        Command::Bus(BusCommand::New { dir, hosts, server_dir }) => {
            let made = bus::make(&bus::Wanted { dir: dir.clone(), hosts, server_dir })?;
            let what = match made {
                bus::Made::New => "made certificates, users and the token",
                bus::Made::Kept => "all is there and stays as it is",
            };
            writeln!(io::stdout(), "{}: {what}", dir.display())?;
        }
        Command::Image { wasm, output, tag } => {
            let filter = fs::read(&wasm).with_context(|| format!("--wasm {}", wasm.display()))?;
            let digest = image::write(&filter, &tag, &output)
                .with_context(|| format!("{} into {}", wasm.display(), output.display()))?;
            writeln!(io::stdout(), "{}:{tag} {digest}", output.display())?;
        }
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

/// Writes a file in one move: who reads it meanwhile reads the one before or this one, whole.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, content)?;
    fs::rename(unfinished, path)
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
