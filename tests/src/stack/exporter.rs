//! The real exporter, both its parts in one process.

use std::{ffi::OsString, path::Path};

use tempfile::TempDir;

use crate::system::{
    ports,
    process::{self, Process, Ready, Spec},
    tools,
};

/// How much the event stream may hold: small, since it is a test's or a try-out's.
const STREAM_MAX_BYTES: u64 = 256 << 20;

/// Short, so that a trace is there when one looks.
const BATCH_DELAY_MS: u64 = 50;

/// The configuration's name in the exporter's directory.
const CONFIG: &str = "exporter.yaml";

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    /// The process.
    pub process: Process,
    /// The port of its ingest.
    pub port: u16,
    /// The port of its health and metrics.
    pub admin_port: u16,
    /// The port of its page.
    pub page_port: u16,
}

/// What an exporter is started with beside where NATS is.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// Its environment: with nothing in it and no configuration, traces are printed.
    pub env: &'a [(String, OsString)],
    /// What is printed goes to our own output.
    pub shows_output: bool,
    /// Its exporter.yaml; with one, the stream's size and the batches' delay are its affair.
    pub config: Option<&'a str>,
    /// The part of it that is started, such as `ship`; both where there is none.
    pub role: Option<&'a str>,
    /// The port of its page, unless another program has it.
    pub page_port: Option<u16>,
    /// It is ready as soon as it lives: what it needs may not be there.
    pub unready: bool,
    /// Another build of it than the one that lies beside this program.
    pub program: Option<&'a Path>,
}

impl Exporter {
    /// Starts one on free ports and waits until it is ready. `env` says where the traces go; with
    /// nothing in it they are printed, to our own output where `shows_output`.
    pub async fn start(
        nats_url: &str,
        env: &[(String, OsString)],
        shows_output: bool,
    ) -> anyhow::Result<Self> {
        Self::with(nats_url, &Options { env, shows_output, ..Options::default() }).await
    }

    /// Starts one with these options on free ports and waits until it is ready.
    pub async fn with(nats_url: &str, options: &Options<'_>) -> anyhow::Result<Self> {
        process::on_free_ports(|| start(nats_url, options)).await
    }

    /// The URL of its ingest.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A URL of its page.
    pub fn page(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.page_port)
    }

    /// A URL of its admin listener.
    pub fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin_port)
    }

    /// Writes another exporter.yaml, which it takes up by itself.
    pub fn configure(&self, yaml: &str) -> std::io::Result<()> {
        let new = self.process.dir().join("exporter.yaml.new");
        std::fs::write(&new, yaml)?;
        std::fs::rename(new, self.process.dir().join(CONFIG))
    }
}

async fn start(nats_url: &str, options: &Options<'_>) -> anyhow::Result<Exporter> {
    let (port, admin_port) = (ports::free()?, ports::free()?);
    let page_port = options.page_port.filter(|port| ports::is_free(*port)).map_or_else(ports::free, Ok)?;
    let dir = TempDir::with_prefix("weir-exporter-")?;
    let mut args: Vec<OsString> = vec![
        options.role.unwrap_or("run").into(),
        "--nats-url".into(),
        nats_url.into(),
        "--listen".into(),
        format!("127.0.0.1:{port}").into(),
        "--admin-listen".into(),
        format!("127.0.0.1:{admin_port}").into(),
    ];
    // Where the test says so itself, it is as it says.
    let has_page = options.config.is_some_and(|yaml| yaml.contains("page:"));
    if !has_page {
        args.extend(["--page-listen".into(), format!("127.0.0.1:{page_port}").into()]);
    }
    match options.config {
        Some(yaml) => {
            std::fs::write(dir.path().join(CONFIG), yaml)?;
            args.extend(["--config".into(), CONFIG.into()]);
        }
        None => args.extend([
            "--stream-max-bytes".into(),
            STREAM_MAX_BYTES.to_string().into(),
            "--batch-delay-ms".into(),
            BATCH_DELAY_MS.to_string().into(),
        ]),
    }
    let program = match options.program {
        Some(program) => program.canonicalize()?,
        None => tools::binary("weir-exporter")?,
    };
    let ready = Ready::Http(admin_port, if options.unready { "/healthz" } else { "/readyz" });
    let (env, shows_output) = (options.env.to_vec(), options.shows_output);
    let spec = Spec { env, shows_output, ..Spec::new("weir-exporter", program, args, ready) };
    Ok(Exporter { process: Process::start(spec, dir).await?, port, admin_port, page_port })
}
