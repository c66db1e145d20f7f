//! What `make run` does: brings Weir up on loopback, says what runs where, and takes it down.
//!
//! Started in the order in which they need one another, stopped in the reverse: Envoy first, after
//! a moment in which its last events leave, then the exporter, then NATS.

use std::{env, ffi::OsString, pin::pin, time::Duration};

use anyhow::{Context, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use crate::{
    stack::{
        envoy::{self, Addresses, Envoy},
        exporter::{self, Exporter},
        nats::Nats,
    },
    system::{
        ports,
        process::{self, Process, Ready, Spec},
        terminal::say,
        tools,
    },
};

/// The port for callers where PORT names none.
const DEFAULT_PORT: u16 = 8080;

/// The port of the page, unless another program has it.
const PAGE_PORT: u16 = 4321;

/// How long requests under way and the filter's last events have.
const FLUSH: Duration = Duration::from_secs(5);

/// How long the exporter and NATS may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// How often the processes are looked at.
const WATCH: Duration = Duration::from_millis(200);

/// The models of OpenAI that may be asked for.
const OPENAI_MODELS: &[&str] = &["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "o4-mini"];

/// The models of the demo provider.
const DEMO_MODELS: &[&str] = &["gpt-4o-mini", "demo"];

/// The model that the lines to try ask for: both providers have it.
const MODEL_TO_TRY: &str = "gpt-4o-mini";

/// What the environment says about a run.
pub struct Settings {
    port: u16,
    openai_key: Option<OsString>,
    middleware: Option<Middleware>,
    /// Whether traces hold prompts and answers.
    keeps_content: bool,
}

struct Middleware {
    tenant: String,
    key: OsString,
    target: Option<OsString>,
}

impl Settings {
    /// From PORT, CONTENT, OPENAI_API_KEY, MW_TENANT, MW_API_KEY and MW_TARGET; empty counts as not set.
    pub fn from_env() -> anyhow::Result<Self> {
        Self::from(|name| env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn from(variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Self> {
        let port = match variable("PORT") {
            None => DEFAULT_PORT,
            Some(port) => match port.to_str().and_then(|port| port.parse().ok()) {
                Some(port) if port > 0 => port,
                _ => bail!("PORT is {}; it must be a number from 1 to 65535", port.display()),
            },
        };
        let middleware = match (variable("MW_TENANT"), variable("MW_API_KEY")) {
            (None, None) => None,
            (Some(tenant), Some(key)) => {
                let tenant = tenant.into_string().ok().context("MW_TENANT is not text")?;
                Some(Middleware { tenant, key, target: variable("MW_TARGET") })
            }
            (Some(_), None) => bail!("MW_TENANT is set but MW_API_KEY is not; set both, or neither"),
            (None, Some(_)) => bail!("MW_API_KEY is set but MW_TENANT is not; set both, or neither"),
        };
        let keeps_content = match variable("CONTENT") {
            None => false,
            Some(content) => match content.to_str() {
                Some("keep") => true,
                Some("exclude") => false,
                _ => bail!("CONTENT is {}; it can be keep or exclude", content.display()),
            },
        };
        Ok(Self { port, openai_key: variable("OPENAI_API_KEY"), middleware, keeps_content })
    }

    /// The exporter's environment: where traces go.
    fn exporter_env(&self) -> Vec<(String, OsString)> {
        let Some(middleware) = &self.middleware else { return Vec::new() };
        let mut env = vec![
            ("MW_TENANT".to_owned(), middleware.tenant.clone().into()),
            ("MW_API_KEY".to_owned(), middleware.key.clone()),
        ];
        env.extend(middleware.target.clone().map(|target| ("MW_TARGET".to_owned(), target)));
        env
    }

    /// Envoy's environment: the key that gateway.yaml names, and where it runs.
    fn envoy_env(&self) -> Vec<(String, OsString)> {
        let key = self.openai_key.iter().map(|key| ("OPENAI_API_KEY".to_owned(), key.clone()));
        key.chain(host()).collect()
    }
}

/// What the filter says of this machine with its traces.
fn host() -> impl Iterator<Item = (String, OsString)> {
    [("HOSTNAME", "/proc/sys/kernel/hostname"), ("HOST_ID", "/etc/machine-id")].into_iter().filter_map(
        |(variable, file)| {
            let value = std::fs::read_to_string(file).ok()?;
            Some((variable.to_owned(), value.trim().into()))
        },
    )
}

/// Brings everything up, waits until `stop` is there, and takes everything down. After an error the rest has
/// been stopped.
pub async fn run(settings: Settings, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    if !ports::is_free(settings.port) {
        let port = settings.port;
        let other = if port < u16::MAX { port + 1 } else { DEFAULT_PORT };
        bail!(
            "127.0.0.1:{port} cannot be used: another program listens there. Choose another port: PORT={other} make run"
        );
    }
    let mut stop = pin!(stop);
    // A stop in the middle of starting drops, and so kills, what has been started.
    let mut running = tokio::select! {
        started = Running::start(&settings) => started?,
        () = &mut stop => {
            say("Stopped before everything was up.");
            return Ok(());
        }
    };
    say(&running.summary(&settings));
    let ended = tokio::select! {
        ended = running.watch() => Some(ended),
        () = &mut stop => None,
    };
    if ended.is_none() {
        say("\nStopping: Envoy takes no more requests and its last traces leave …");
    }
    running.stop().await;
    match ended {
        Some(report) => bail!("{report}\nEverything else has been stopped."),
        None => {
            say("Everything is stopped.");
            Ok(())
        }
    }
}

struct Running {
    // Dropped in this order, as they are stopped.
    envoy: Envoy,
    demo: Option<Demo>,
    exporter: Exporter,
    nats: Nats,
}

impl Running {
    async fn start(settings: &Settings) -> anyhow::Result<Self> {
        say("Starting nats-server …");
        let nats = Nats::start().await?;
        say("Starting weir-exporter …");
        let mut env = settings.exporter_env();
        env.push(("WEIR_SETTINGS_KEY".to_owned(), sealing_key()?.into()));
        let options = exporter::Options {
            env: &env,
            shows_output: true,
            page_port: Some(PAGE_PORT),
            ..exporter::Options::default()
        };
        let exporter = Exporter::with(&nats.url(), &options).await?;
        let demo = match settings.openai_key {
            Some(_) => None,
            None => {
                say("Starting the demo provider …");
                Some(process::on_free_ports(Demo::start).await?)
            }
        };
        say("Starting Envoy with the filter …");
        let provider = demo.as_ref().map(|demo| demo.port);
        let keeps_content = settings.keeps_content;
        let yaml = |addresses| gateway_yaml(addresses, provider, &exporter.url(), keeps_content);
        let env = settings.envoy_env();
        let options = envoy::Options { env: &env, listen: Some(settings.port), ..envoy::Options::default() };
        let envoy = Envoy::start(&options, yaml).await?;
        Ok(Self { envoy, demo, exporter, nats })
    }

    fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        let demo = self.demo.as_mut().map(|demo| &mut demo.process);
        [&mut self.envoy.process, &mut self.exporter.process, &mut self.nats.process].into_iter().chain(demo)
    }

    /// Waits until a process ends by itself, and says which and what it last logged.
    async fn watch(&mut self) -> String {
        loop {
            for process in self.processes() {
                if let Some(status) = process.ended() {
                    return format!(
                        "{} ended ({status}). The end of its log:\n{}",
                        process.name(),
                        process.log_end()
                    );
                }
            }
            tokio::time::sleep(WATCH).await;
        }
    }

    /// Stops everything in order; what cannot be stopped is killed.
    async fn stop(&mut self) {
        let stopped = self.envoy.drain_and_stop(FLUSH).await;
        if let Err(error) = stopped {
            say(&format!("envoy: {error}"));
        }
        let demo = self.demo.as_mut().map(|demo| &mut demo.process);
        for process in [&mut self.exporter.process].into_iter().chain(demo).chain([&mut self.nats.process]) {
            if let Err(error) = process.stop(GRACE).await {
                say(&error.to_string());
            }
        }
    }

    fn summary(&self, settings: &Settings) -> String {
        let Addresses { listen, admin } = self.envoy.addresses;
        let provider = match &self.demo {
            Some(demo) => format!(
                "built-in DEMO provider on 127.0.0.1:{}; set OPENAI_API_KEY to talk to OpenAI",
                demo.port
            ),
            None => "OpenAI, https://api.openai.com/v1, with the key in OPENAI_API_KEY".to_owned(),
        };
        let traces = match &settings.middleware {
            Some(middleware) => format!("Middleware, tenant {}", middleware.tenant),
            None => "this terminal; set MW_TENANT and MW_API_KEY to ship them to Middleware".to_owned(),
        };
        let content = match settings.keeps_content {
            true => "in traces, since CONTENT=keep",
            false => "not in traces; CONTENT=keep make run puts prompts and answers into them",
        };
        let models = if self.demo.is_some() { DEMO_MODELS } else { OPENAI_MODELS };
        format!(
            "
Weir is up.

  gateway    http://{listen}
  page       {page} (health, traces and settings to look at)
  provider   {provider}
  models     {models}
  traces     {traces}
  content    {content}

  Envoy's admin interface  http://{admin}
  exporter                 {exporter} (health and metrics: http://127.0.0.1:{exporter_admin})
  NATS                     {nats}

Try it in another terminal:

  {plain}

  {streamed}

Ctrl-C stops everything.
",
            models = models.join(", "),
            page = self.exporter.page("/"),
            exporter = self.exporter.url(),
            exporter_admin = self.exporter.admin_port,
            nats = self.nats.url(),
            plain = curl(listen.port(), "curl", ""),
            streamed = curl(listen.port(), "curl -N", r#", "stream": true"#),
        )
    }
}

/// What the page's secrets are sealed with. They go with NATS's directory at the end, so a new one will do.
fn sealing_key() -> std::io::Result<String> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    Ok(STANDARD.encode(key))
}

fn curl(port: u16, curl: &str, more: &str) -> String {
    format!(
        r#"{curl} http://127.0.0.1:{port}/v1/chat/completions -H 'content-type: application/json' -d '{{"model": "{MODEL_TO_TRY}", "messages": [{{"role": "user", "content": "What is a weir?"}}]{more}}}'"#
    )
}

/// The demo provider, where there is no key for OpenAI.
struct Demo {
    process: Process,
    port: u16,
}

impl Demo {
    async fn start() -> anyhow::Result<Self> {
        let port = ports::free()?;
        let program = tools::binary("weir-demo-provider")?;
        let (args, ready) = (vec![format!("127.0.0.1:{port}").into()], Ready::Http(port, "/healthz"));
        let spec = Spec::new("weir-demo-provider", program, args, ready);
        Ok(Self { process: Process::start(spec, TempDir::with_prefix("weir-demo-")?).await?, port })
    }
}

/// The gateway: OpenAI, or the demo provider on this port.
fn gateway_yaml(addresses: Addresses, demo: Option<u16>, exporter: &str, keeps_content: bool) -> String {
    let Addresses { listen, admin } = addresses;
    let (name, provider, models) = match demo {
        Some(port) => {
            ("demo", format!("{{ api: openai, url: \"http://127.0.0.1:{port}/v1\" }}"), DEMO_MODELS)
        }
        None => (
            "openai",
            "{ api: openai, url: https://api.openai.com/v1, key: { env: OPENAI_API_KEY } }".to_owned(),
            OPENAI_MODELS,
        ),
    };
    let table: String =
        models.iter().map(|model| format!("  {model}: {{ targets: [{{ provider: {name} }}] }}\n")).collect();
    let content = if keeps_content { "keep" } else { "exclude" };
    format!(
        "listen: {listen}\n\
         admin: {admin}\n\
         providers:\n  {name}: {provider}\n\
         models:\n{table}\
         redaction: {{ exported: {{ content: {content} }} }}\n\
         exporter: {{ url: \"{exporter}\" }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> anyhow::Result<Settings> {
        Settings::from(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    fn names(env: &[(String, OsString)]) -> Vec<&str> {
        env.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn each_key_goes_to_the_one_process_that_needs_it() {
        let all = [("OPENAI_API_KEY", "a"), ("MW_TENANT", "t"), ("MW_API_KEY", "b")];
        let settings = settings(&all).expect("settings");
        let of_envoy = settings.envoy_env();
        assert_eq!(names(&of_envoy)[..2], ["OPENAI_API_KEY", "HOSTNAME"]);
        assert!(!names(&of_envoy).iter().any(|name| name.starts_with("MW_")));
        assert_eq!(names(&settings.exporter_env()), ["MW_TENANT", "MW_API_KEY"]);
    }

    #[test]
    fn half_of_middlewares_settings_and_a_port_that_is_none_are_refused_by_name() {
        for (variables, expected) in [
            ([("MW_TENANT", "t")], "MW_API_KEY is not"),
            ([("MW_API_KEY", "k")], "MW_TENANT is not"),
            ([("PORT", "0")], "1 to 65535"),
            ([("PORT", "http")], "1 to 65535"),
            ([("CONTENT", "yes")], "keep or exclude"),
        ] {
            let error = settings(&variables).err().expect("a refusal").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn both_gateways_are_valid_and_have_the_model_to_try() {
        let addresses = Addresses::free(Some(8080)).expect("ports");
        for demo in [None, Some(9)] {
            let yaml = gateway_yaml(addresses, demo, "http://127.0.0.1:4319", demo.is_some());
            let gateway = weir_config::Gateway::parse(&yaml).expect(&yaml);
            assert!(gateway.models.contains_key(MODEL_TO_TRY));
        }
    }

    #[test]
    fn the_lines_to_try_carry_json() {
        for more in ["", r#", "stream": true"#] {
            let line = curl(1, "curl", more);
            let body = line.split('\'').nth(3).expect("a body");
            serde_json::from_str::<serde_json::Value>(body).expect("JSON");
        }
    }
}
