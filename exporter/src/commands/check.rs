//! `check`: what a configuration comes to, without a secret in it.

use anyhow::Context as _;

use super::output::say;
use crate::{
    app::settings::Settings,
    bus::SETTINGS,
    destination::{DestinationSettings, Kind, shown},
    metrics::genai::PushSettings,
    otlp::{OtlpSender, Signal},
    saved_destinations::{StaticConfig, seal::KEY_VARIABLE},
    ship::{encode::Encoder, sink::Sink},
};

/// Says what the settings come to.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    for one in &settings.destinations {
        let sink = Sink::new(one).with_context(|| format!("destinations.{}", one.name))?;
        Encoder::new(sink.format(), &one.resource)?;
    }
    for one in &settings.pushes {
        let sender = OtlpSender::new(one.otlp.clone(), Signal::Metrics);
        sender.with_context(|| format!("destinations.{}", one.name))?;
    }
    say(&text(settings));
    Ok(())
}

fn text(settings: &Settings) -> String {
    let (ingest, bus) = (&settings.ingest, &settings.bus);
    let token = if ingest.token.is_some() { "a token is asked for" } else { "no token is asked for" };
    let tls = if ingest.tls.is_some() { ", TLS" } else { "" };
    let socket = ingest.socket.as_ref().map(|path| format!(" and {}", path.display())).unwrap_or_default();
    let stream = &bus.stream;
    let mut lines = vec![
        "The configuration is good.".to_owned(),
        format!("  ingest   {}{socket} ({token}{tls})", ingest.listen),
        format!("  admin    http://{}", settings.admin_listen),
        page(settings),
        format!("  NATS     {}{}", bus.servers, if bus.tls.is_some() { " over TLS" } else { "" }),
        format!(
            "  stream   {} MiB at most, {} s at most, {} s once every destination has it, {} cop{}, when full {}",
            stream.max_bytes >> 20,
            stream.max_age.as_secs(),
            stream.keep.as_secs(),
            stream.replicas,
            if stream.replicas == 1 { "y" } else { "ies" },
            match stream.when_full {
                crate::config::wire::WhenFull::DropOldest => "the oldest events go",
                crate::config::wire::WhenFull::Refuse => "new batches are refused",
            },
        ),
    ];
    lines.push(match &settings.static_config {
        StaticConfig { enabled: false, .. } => "  page     settings are made in the configuration only".to_owned(),
        StaticConfig { keys, .. } if keys.is_empty() => format!(
            "  page     settings in bucket {SETTINGS} besides; no secret can be saved there: {KEY_VARIABLE} and \
             settings.key are not set"
        ),
        StaticConfig { keys, .. } => format!("  page     settings in bucket {SETTINGS} besides, secrets sealed by key {keys}"),
    });
    lines.extend(settings.destinations.iter().map(destination));
    if settings.destinations.is_empty() {
        lines.push("  no destinations: events stay in the stream until they are too old".to_owned());
    }
    lines.extend(settings.pushes.iter().map(push));
    lines.join("\n")
}

fn page(settings: &Settings) -> String {
    let page = &settings.page;
    let Some(listen) = page.listen else { return "  page     off".to_owned() };
    let scheme = if page.tls.is_some() { "https" } else { "http" };
    let token = if page.token.is_some() { "a token is asked for" } else { "no token is asked for" };
    let names: String = page.hosts.iter().map(|host| format!(", also as {host}")).collect();
    format!("  page     {scheme}://{listen} ({token}{names})")
}

fn push(one: &PushSettings) -> String {
    let (to, every) = (shown(&one.otlp.url), one.interval);
    format!("  metrics  {to} (of {}, every {every:?}, {:?})", one.name, one.otlp.protocol)
}

fn destination(one: &DestinationSettings) -> String {
    let mut more = Vec::new();
    if let Kind::Otlp(otlp) = &one.kind {
        let names: Vec<_> = otlp.headers.keys().map(http::HeaderName::as_str).collect();
        let headers = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        more.push(format!("headers: {headers}"));
        more.push(format!("{:?}, {:?}, {} POSTs at once", otlp.protocol, otlp.compression, one.concurrency));
    }
    if one.profile.exclude_content {
        more.push("without content".to_owned());
    }
    if one.when.is_some() {
        more.push("filtered".to_owned());
    }
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
    format!("  {:<8} {}{more}", one.name, one.target())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{cli::Cli, process::env::Env};

    #[test]
    fn what_is_said_names_headers_and_shows_no_secret() {
        let cli = Cli::parse_from(["weir-exporter", "check"]);
        let env = Env::from_iter([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318/?key=s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret"),
            ("WEIR_INGEST_TOKEN", "s3cret"),
        ]);
        let text = text(&Settings::load(cli.role(), &cli.flags, &env).unwrap());
        assert!(text.contains("headers: x-key") && text.contains("http://h:4318/v1/traces"), "{text}");
        assert!(text.contains("metrics  http://h:4318/v1/metrics (of otlp, every 60s"), "{text}");
        assert!(text.contains("page     http://127.0.0.1:4321 (no token is asked for)"), "{text}");
        assert!(text.contains("a token is asked for") && !text.contains("s3cret"), "{text}");
    }
}
