//! `weir-config`: checks gateway.yaml and renders it. What it renders goes to standard output, and
//! what an operator should know beside it to standard error.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use weir_config::{
    Admin, Gateway, NewKey, bus, drain, envoy, envoy_gateway, image, import, istio, schema, settings,
};
use weir_filter::config::PluginConfig;

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
    /// Render an Envoy bootstrap, or what else an Envoy needs.
    Envoy(EnvoyArgs),
    /// Render the manifests for an Istio gateway that routes, or, with `mode: observe`, for sidecars or a
    /// gateway that observe.
    Istio(IstioArgs),
    /// Render the manifests by which an Envoy Gateway observes (`mode: observe`).
    EnvoyGateway(EnvoyGatewayArgs),
    /// Render the plugin's JSON alone, for whatever else loads the filter.
    Plugin {
        /// The file.
        gateway: PathBuf,
        /// Which of the filter's two places it is for.
        #[arg(long, value_enum, default_value_t = RoleArg::Downstream)]
        role: RoleArg,
    },
    /// Empty a running Envoy before it is ended: afterwards SIGTERM loses no request and no trace event.
    Drain(DrainArgs),
    /// Make a gateway.yaml from the configuration of another gateway, or an exporter.yaml.
    Import {
        /// What it was written for.
        #[arg(value_enum)]
        from: ImportArg,
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Print the JSON schema of gateway.yaml, for editors.
    Schema {
        /// As a reference for people, in Markdown.
        #[arg(long)]
        markdown: bool,
    },
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

#[derive(Args)]
struct EnvoyArgs {
    /// The file.
    gateway: PathBuf,
    /// The filter's .wasm file, as Envoy will see it.
    #[arg(long, default_value = "/etc/weir/weir_filter.wasm")]
    wasm: PathBuf,
    /// A directory for resource files, as Envoy will see it, which are written there: by them
    /// Envoy reads a key's file anew when it is replaced. Without it Envoy reads keys once.
    #[arg(long, conflicts_with = "xds_dir")]
    secrets_dir: Option<PathBuf>,
    /// Render the HTTP filters, routes, clusters and secrets to paste into a configuration of your own.
    #[arg(long, conflicts_with = "xds_dir")]
    fragment: bool,
    /// A directory for everything that can change while Envoy runs. The bootstrap on standard output
    /// stays the same; render again after a change, and Envoy takes it without losing a request.
    #[arg(long)]
    xds_dir: Option<PathBuf>,
    /// Where the running Envoy's admin interface is, for --xds-dir; by default `admin` of gateway.yaml.
    #[arg(long, requires = "xds_dir")]
    admin: Option<String>,
    /// Write the bootstrap to this file, in one move, and not to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Copy the filter from there to --wasm, for an Envoy whose image does not have it.
    #[arg(long, value_name = "FILE")]
    copy_wasm: Option<PathBuf>,
    /// Fail where an environment variable is not set that Envoy will need, for where both have the same.
    #[arg(long)]
    check_environment: bool,
    /// The version of Envoy that it is for. What an older one does not know is left out, and said.
    #[arg(long)]
    envoy_version: Option<envoy::Version>,
}

#[derive(Args)]
struct IstioArgs {
    /// The file.
    gateway: PathBuf,
    /// The filter's OCI image: oci://registry.example.com/weir-filter:0.1.0
    #[arg(long)]
    image: String,
    /// The image's digest, in hex: what `weir-config image` prints behind sha256:
    #[arg(long)]
    sha256: String,
    /// The namespace of the pods.
    #[arg(long, default_value = "istio-ingress")]
    namespace: String,
    /// A label of theirs; can be given several times.
    #[arg(long, value_parser = label, default_value = "istio=ingress")]
    selector: Vec<(String, String)>,
    /// A host name that callers use; can be given several times. For a gateway that routes.
    #[arg(long, default_value = "*")]
    host: Vec<String>,
    /// A Gateway of the Gateway API in place of the labels, for `mode: observe`.
    #[arg(long, conflicts_with = "selector")]
    gateway_name: Option<String>,
}

#[derive(Args)]
struct EnvoyGatewayArgs {
    /// The file.
    gateway: PathBuf,
    /// The filter's OCI image: oci://registry.example.com/weir-filter:0.1.0
    #[arg(long)]
    image: String,
    /// The image's digest, in hex: what `weir-config image` prints behind sha256:
    #[arg(long)]
    sha256: String,
    /// The namespace of the Gateway.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// The Gateway's name.
    #[arg(long)]
    gateway_name: String,
}

#[derive(Args)]
struct DrainArgs {
    /// Where Envoy's admin interface is.
    #[arg(long, default_value = "http://127.0.0.1:9901")]
    admin: String,
    /// How many seconds new requests are still taken, until load balancers have noticed that /healthz
    /// fails.
    #[arg(long, default_value_t = 5)]
    grace: u64,
    /// How many seconds the whole may take.
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleArg {
    /// The HTTP filter for callers' requests.
    Downstream,
    /// The upstream HTTP filter of a provider's cluster.
    Upstream,
}

#[derive(Clone, Copy, ValueEnum)]
enum ImportArg {
    /// The config.yaml of LiteLLM's proxy.
    Litellm,
    /// TrueFoundry's virtual models, or its global routing configuration.
    Truefoundry,
    /// TrueFoundry's OTEL Config; becomes an exporter.yaml.
    TruefoundryOtel,
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
            let file = gateway.display();
            if checked.observes() {
                writeln!(
                    io::stdout(),
                    "{file}: good; observes {}. Next: weir-config istio {file}, envoy-gateway {file} or envoy --fragment {file}",
                    match checked.providers.len() {
                        0 => "calls to every host".to_owned(),
                        count => counted(count, "provider"),
                    },
                )?;
                return Ok(());
            }
            writeln!(
                io::stdout(),
                "{file}: good; {}, {}. Next: weir-config envoy {file}",
                counted(checked.providers.len(), "provider"),
                counted(checked.models.len(), "model"),
            )?;
        }
        Command::Envoy(args) => render(args)?,
        Command::Istio(args) => {
            let options = istio::Options {
                namespace: args.namespace,
                selector: args.selector.into_iter().collect::<BTreeMap<_, _>>(),
                hosts: args.host,
                image: args.image,
                sha256: args.sha256,
                gateway: args.gateway_name,
            };
            let gateway = read(&args.gateway)?;
            for lost in istio::lost(&gateway) {
                writeln!(io::stderr(), "lost: {lost}")?;
            }
            let rendered =
                istio::istio(&gateway, &options).with_context(|| args.gateway.display().to_string())?;
            io::stdout().write_all(rendered.as_bytes())?;
        }
        Command::EnvoyGateway(args) => {
            let options = envoy_gateway::Options {
                namespace: args.namespace,
                gateway: args.gateway_name,
                image: args.image,
                sha256: args.sha256,
            };
            let rendered = envoy_gateway::envoy_gateway(&read(&args.gateway)?, &options)
                .with_context(|| args.gateway.display().to_string())?;
            io::stdout().write_all(rendered.as_bytes())?;
        }
        Command::Plugin { gateway, role } => {
            let gateway = read(&gateway)?;
            let plugin = match role {
                RoleArg::Downstream => gateway.plugin()?,
                RoleArg::Upstream => PluginConfig::attempt(),
            };
            writeln!(io::stdout(), "{:#}", envoy::plugin_json(&plugin))?;
        }
        Command::Drain(DrainArgs { admin, grace, timeout }) => {
            let how =
                drain::Drain { grace: Duration::from_secs(grace), timeout: Duration::from_secs(timeout) };
            drain::drain(&Admin::new(&admin), how)?;
            writeln!(
                io::stdout(),
                "drained: no request is under way and the exporter has every trace event; end Envoy now"
            )?;
        }
        Command::Import { from, file } => {
            let source = match from {
                ImportArg::Litellm => import::Source::LiteLlm,
                ImportArg::Truefoundry => import::Source::TrueFoundry,
                ImportArg::TruefoundryOtel => import::Source::TrueFoundryOtel,
            };
            let mut yaml = String::new();
            match file.as_os_str().as_encoded_bytes() {
                b"-" => io::stdin().read_to_string(&mut yaml).map(drop)?,
                _ => {
                    yaml = fs::read_to_string(&file)
                        .with_context(|| format!("cannot read {}", file.display()))?;
                }
            }
            let imported = import::import(source, &yaml).with_context(|| file.display().to_string())?;
            for note in &imported.notes {
                writeln!(io::stderr(), "note: {note}")?;
            }
            io::stdout().write_all(imported.yaml.as_bytes())?;
        }
        Command::Schema { markdown } => {
            let text = if markdown { settings() } else { schema() };
            io::stdout().write_all(text.as_bytes())?;
        }
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

fn render(args: EnvoyArgs) -> anyhow::Result<()> {
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
                    format!("no Envoy answers at {}, so it is for the next one that starts", admin.url())
                }
                (None, false) => {
                    "there is no admin interface to ask, so whether Envoy takes it is not known".to_owned()
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

fn label(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("a label is NAME=VALUE"),
    }
}

fn absolute(option: &str, path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{option} {}", path.display()))
}

/// Reads and checks a gateway.yaml, and warns of what is allowed and seldom meant.
fn read(path: &Path) -> anyhow::Result<Gateway> {
    let yaml = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let gateway = Gateway::parse(&yaml).map_err(|error| {
        let place = error.place().map(|place| format!(":{place}")).unwrap_or_default();
        anyhow::Error::from(error).context(format!("{}{place}", path.display()))
    })?;
    if let Some(listen) = gateway.listen.filter(|_| gateway.is_open()) {
        writeln!(
            io::stderr(),
            "warning: {}: there are no `keys` and no `jwt`, so whoever reaches {} may use every provider. \
             Make a key: weir-config key new --name NAME",
            path.display(),
            listen,
        )?;
    }
    Ok(gateway)
}

/// So many of a thing, as it is said.
fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
