//! The command line of `weir-config`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Parser, Subcommand, ValueEnum};
use weir_config::envoy;

#[derive(Parser)]
#[command(version = weir_event::VERSION, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
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
pub(crate) struct EnvoyArgs {
    /// The file.
    pub(crate) gateway: PathBuf,
    /// The filter's .wasm file, as Envoy will see it.
    #[arg(long, default_value = "/etc/weir/weir_filter.wasm")]
    pub(crate) wasm: PathBuf,
    /// A directory for resource files, as Envoy will see it, which are written there: by them
    /// Envoy reads a key's file anew when it is replaced. Without it Envoy reads keys once.
    #[arg(long, conflicts_with = "xds_dir")]
    pub(crate) secrets_dir: Option<PathBuf>,
    /// Render the HTTP filters, routes, clusters and secrets to paste into a configuration of your own.
    #[arg(long, conflicts_with = "xds_dir")]
    pub(crate) fragment: bool,
    /// A directory for everything that can change while Envoy runs. The bootstrap on standard output
    /// stays the same; render again after a change, and Envoy takes it without losing a request.
    #[arg(long)]
    pub(crate) xds_dir: Option<PathBuf>,
    /// Where the running Envoy's admin interface is, for --xds-dir; by default `admin` of gateway.yaml.
    #[arg(long, requires = "xds_dir")]
    pub(crate) admin: Option<String>,
    /// Write the bootstrap to this file, in one move, and not to standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Copy the filter from there to --wasm, for an Envoy whose image does not have it.
    #[arg(long, value_name = "FILE")]
    pub(crate) copy_wasm: Option<PathBuf>,
    /// Fail where an environment variable is not set that Envoy will need, for where both have the same.
    #[arg(long)]
    pub(crate) check_environment: bool,
    /// The version of Envoy that it is for. What an older one does not know is left out, and said.
    #[arg(long)]
    pub(crate) envoy_version: Option<envoy::Version>,
}

#[derive(Args)]
pub(crate) struct IstioArgs {
    /// The file.
    pub(crate) gateway: PathBuf,
    /// The filter's OCI image: oci://registry.example.com/weir-filter:0.1.0
    #[arg(long)]
    pub(crate) image: String,
    /// The image's digest, in hex: what `weir-config image` prints behind sha256:
    #[arg(long)]
    pub(crate) sha256: String,
    /// The namespace of the pods.
    #[arg(long, default_value = "istio-ingress")]
    pub(crate) namespace: String,
    /// A label of theirs; can be given several times.
    #[arg(long, value_parser = label, default_value = "istio=ingress")]
    pub(crate) selector: Vec<(String, String)>,
    /// A host name that callers use; can be given several times. For a gateway that routes.
    #[arg(long, default_value = "*")]
    pub(crate) host: Vec<String>,
    /// A Gateway of the Gateway API in place of the labels, for `mode: observe`.
    #[arg(long, conflicts_with = "selector")]
    pub(crate) gateway_name: Option<String>,
}

#[derive(Args)]
pub(crate) struct EnvoyGatewayArgs {
    /// The file.
    pub(crate) gateway: PathBuf,
    /// The filter's OCI image: oci://registry.example.com/weir-filter:0.1.0
    #[arg(long)]
    pub(crate) image: String,
    /// The image's digest, in hex: what `weir-config image` prints behind sha256:
    #[arg(long)]
    pub(crate) sha256: String,
    /// The namespace of the Gateway.
    #[arg(long, default_value = "default")]
    pub(crate) namespace: String,
    /// The Gateway's name.
    #[arg(long)]
    pub(crate) gateway_name: String,
}

#[derive(Args)]
pub(crate) struct DrainArgs {
    /// Where Envoy's admin interface is.
    #[arg(long, default_value = "http://127.0.0.1:9901")]
    pub(crate) admin: String,
    /// How many seconds new requests are still taken, until load balancers have noticed that /healthz
    /// fails.
    #[arg(long, default_value_t = 5)]
    pub(crate) grace: u64,
    /// How many seconds the whole may take.
    #[arg(long, default_value_t = 60)]
    pub(crate) timeout: u64,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// The HTTP filter for callers' requests.
    Downstream,
    /// The upstream HTTP filter of a provider's cluster.
    Upstream,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ImportArg {
    /// The config.yaml of LiteLLM's proxy.
    Litellm,
    /// TrueFoundry's virtual models, or its global routing configuration.
    Truefoundry,
    /// TrueFoundry's OTEL Config; becomes an exporter.yaml.
    TruefoundryOtel,
}

#[derive(Subcommand)]
pub(crate) enum BusCommand {
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
pub(crate) enum KeyCommand {
    /// Print a fresh key, this once, and its line for gateway.yaml, which holds its digest alone.
    New {
        /// The key's name in events and messages: letters, digits, '-', '_', '.' or '@'.
        #[arg(long)]
        name: String,
    },
}

fn label(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("a label is NAME=VALUE"),
    }
}
