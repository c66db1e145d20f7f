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
    /// Render an Envoy bootstrap, parts of one, or files that a running Envoy reloads.
    Envoy(EnvoyArgs),
    /// Render the manifests for an Istio gateway that routes, or, with `mode: observe`, for sidecars or a
    /// gateway that observe.
    Istio(IstioArgs),
    /// Render the manifests for an Envoy Gateway that observes (`mode: observe`).
    EnvoyGateway(EnvoyGatewayArgs),
    /// Render only the plugin's JSON, for other ways to load the filter.
    Plugin {
        /// The file.
        gateway: PathBuf,
        /// Which of the filter's two roles to render.
        #[arg(long, value_enum, default_value_t = RoleArg::Downstream)]
        role: RoleArg,
    },
    /// Drain a running Envoy: afterwards SIGTERM loses no request and no trace event.
    Drain(DrainArgs),
    /// Convert another gateway's configuration to a gateway.yaml or an exporter.yaml.
    Import {
        /// The format of the file.
        #[arg(value_enum)]
        from: ImportArg,
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Print the JSON schema of gateway.yaml, for editors.
    Schema {
        /// Print a reference in Markdown instead.
        #[arg(long)]
        markdown: bool,
    },
    /// Generate certificates, users and tokens for NATS and the exporter.
    #[command(subcommand)]
    Bus(BusCommand),
    /// Write the filter as an OCI image, as an image layout that `skopeo copy oci:DIR docker://…` pushes.
    Image {
        /// The filter's .wasm file.
        #[arg(long)]
        wasm: PathBuf,
        /// The directory to write the layout to.
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
    /// Path of the filter's .wasm file, as Envoy sees it.
    #[arg(long, default_value = "/etc/weir/weir_filter.wasm")]
    pub(crate) wasm: PathBuf,
    /// A directory, as Envoy sees it, to write resource files to, with which Envoy reloads a key when its
    /// file is replaced. Without it Envoy reads keys once.
    #[arg(long, conflicts_with = "xds_dir")]
    pub(crate) secrets_dir: Option<PathBuf>,
    /// Render the HTTP filters, routes, clusters and secrets to paste into a configuration of your own.
    #[arg(long, conflicts_with = "xds_dir")]
    pub(crate) fragment: bool,
    /// A directory for everything that can change while Envoy runs. The bootstrap on standard output
    /// stays the same; render again after a change, and Envoy takes it without losing a request.
    #[arg(long)]
    pub(crate) xds_dir: Option<PathBuf>,
    /// URL of the running Envoy's admin interface, for --xds-dir; by default `admin` of gateway.yaml.
    #[arg(long, requires = "xds_dir")]
    pub(crate) admin: Option<String>,
    /// Write the bootstrap to this file, atomically, instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Copy the filter from this file to --wasm, for an Envoy image without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) copy_wasm: Option<PathBuf>,
    /// Fail if an environment variable that Envoy needs is not set; for running in Envoy's environment.
    #[arg(long)]
    pub(crate) check_environment: bool,
    /// The Envoy version to render for. Features that it does not support are left out and reported.
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
    /// A label of the pods; can be given several times.
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
    /// URL of Envoy's admin interface.
    #[arg(long, default_value = "http://127.0.0.1:9901")]
    pub(crate) admin: String,
    /// Seconds during which requests are still accepted, until load balancers have noticed that /healthz
    /// fails.
    #[arg(long, default_value_t = 5)]
    pub(crate) grace: u64,
    /// Seconds that draining may take in all.
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
    /// Generate certificates, NATS users and the ingest's token, unless they exist: a directory each
    /// for nats (with its nats.conf), ingest, ship, settings and envoy.
    New {
        /// The directory to write to.
        #[arg(long)]
        dir: PathBuf,
        /// A host name of NATS; each of several is a node of a cluster.
        #[arg(long = "host", default_value = "nats")]
        hosts: Vec<String>,
        /// Path of the directory nats, as NATS sees it.
        #[arg(long, default_value = "/etc/weir/nats")]
        server_dir: PathBuf,
    },
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Print a new key, once, and its line for gateway.yaml, which contains only the key's digest.
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
