//! From what is written, and what the environment says, to settings that can be used.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    middleware, otlp, recognizer,
    settings::{
        BatchSettings, Context, DestinationSettings, FileSettings, Kind, OtlpSettings, RetrySettings,
    },
    when::When,
};
use crate::{
    config::{
        ConfigError, ranged,
        wire::{self, Overlay},
    },
    spans::{ExportProfile, Overlays, names, resource::Attributes},
};

/// The longest name of a destination: part of its consumer's.
const MAX_NAME: usize = 64;

/// The most destinations.
pub const MAX_DESTINATIONS: usize = 32;

/// Concurrent POSTs of a destination by default.
const CONCURRENCY: u32 = 4;

/// The most that can be set.
const MAX_CONCURRENCY: u32 = 32;

/// Size at which a file is rotated by default.
const FILE_BYTES: u64 = 100 << 20;

/// How many files are retained by default.
const FILES: u32 = 5;

/// The destinations of a configuration, else those that the environment names, else the console.
///
/// # Errors
///
/// [`ConfigError`], naming the field or variable that does not fit.
pub(crate) fn all(
    written: Option<&BTreeMap<String, wire::Destination>>,
    console: bool,
    context: &Context<'_>,
) -> Result<Vec<DestinationSettings>, ConfigError> {
    let mut all = match written {
        Some(written) => written.clone(),
        None => BTreeMap::from_iter(
            [
                middleware::is_in(context.env)?
                    .then(|| ("middleware".to_owned(), bare(wire::Kind::Middleware))),
                otlp::is_in(context.env)?.then(|| (otlp::NAME.to_owned(), bare(wire::Kind::Otlp))),
            ]
            .into_iter()
            .flatten(),
        ),
    };
    let has_console = all.values().any(|one| one.kind == wire::Kind::Console);
    if (console && !has_console) || (written.is_none() && all.is_empty()) {
        all.insert("console".to_owned(), bare(wire::Kind::Console));
    }
    if all.len() > MAX_DESTINATIONS {
        return Err(ConfigError::at("destinations", format!("may be {MAX_DESTINATIONS} at most")));
    }
    all.iter().map(|(name, one)| checked(name, one, context)).collect()
}

/// The endpoint that the environment names for metrics where it names none for spans.
///
/// # Errors
///
/// [`ConfigError`], naming the variable that does not fit.
pub(crate) fn metrics_alone(
    written: Option<&BTreeMap<String, wire::Destination>>,
    context: &Context<'_>,
) -> Result<Option<OtlpSettings>, ConfigError> {
    if written.is_some() || otlp::is_in(context.env)? {
        return Ok(None);
    }
    otlp::named(&otlp::METRICS, &format!("destinations.{}", otlp::NAME), &bare(wire::Kind::Otlp), context)
}

fn bare(kind: wire::Kind) -> wire::Destination {
    wire::Destination {
        kind,
        tenant: None,
        key: None,
        trace_source: None,
        endpoint: None,
        protocol: None,
        headers: BTreeMap::new(),
        compression: None,
        timeout: None,
        tls: None,
        proxy_from_environment: None,
        metrics: None,
        path: None,
        max_bytes: None,
        max_files: None,
        exclude_request_data: false,
        recognizer: None,
        overlays: None,
        value_limit: None,
        when: None,
        resource: BTreeMap::new(),
        batch: wire::Batch::default(),
        retry: wire::Retry::default(),
        concurrency: None,
    }
}

/// Checks one destination.
///
/// # Errors
///
/// [`ConfigError`], naming the field that does not fit.
pub(crate) fn checked(
    name: &str,
    one: &wire::Destination,
    context: &Context<'_>,
) -> Result<DestinationSettings, ConfigError> {
    let path = format!("destinations.{name}");
    // A consumer's name has no dot, star or space in it.
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !fits {
        return Err(ConfigError::at(path, "a name has letters, digits, '-' and '_', 64 at most"));
    }
    belongs(&path, one)?;
    let mut profile = view(one, context);
    let mut resource = context.resource.clone();
    let kind = match one.kind {
        wire::Kind::Middleware => {
            let (settings, openinference) = middleware::settings(&path, one, context)?;
            profile.overlays.openinference |= openinference && one.overlays.is_none();
            resource.configure(Attributes::from([
                (names::PROJECT_NAME.to_owned(), resource.service().to_owned()),
                (names::MW_APP_LANG.to_owned(), "rust".to_owned()),
            ]));
            Kind::Otlp(Box::new(settings))
        }
        wire::Kind::Otlp => Kind::Otlp(Box::new(otlp::settings(&path, one, context)?)),
        wire::Kind::Console => Kind::Console,
        wire::Kind::File => Kind::File(file(&path, one)?),
    };
    resource.configure(one.resource.clone());
    if one.kind == wire::Kind::Middleware {
        profile.middleware_service = Some(resource.service().to_owned()).filter(|name| !name.is_empty());
    }
    let metrics = match &kind {
        Kind::Otlp(traces) => otlp::metrics(&path, one, context, traces)?.map(Box::new),
        Kind::Console | Kind::File(_) => None,
    };
    let concurrency =
        ranged(&format!("{path}.concurrency"), one.concurrency, CONCURRENCY, 1, MAX_CONCURRENCY)?;
    let concurrency = if matches!(kind, Kind::Otlp(_)) { concurrency } else { 1 };
    let recognizer = one.recognizer.as_ref();
    let recognizer =
        recognizer.map(|one| recognizer::settings(&format!("{path}.recognizer"), one)).transpose()?;
    if recognizer.is_some() && profile.exclude_content {
        let message = "has nothing to search: exclude_request_data leaves all content out";
        return Err(ConfigError::at(format!("{path}.recognizer"), message));
    }
    Ok(DestinationSettings {
        name: name.into(),
        kind,
        profile,
        recognizer: recognizer.map(Box::new),
        metrics,
        when: one.when.as_ref().map(|when| When::new(&format!("{path}.when"), when)).transpose()?,
        resource,
        batch: batch(&format!("{path}.batch"), &one.batch, context.batch)?,
        retry: retry(&one.retry, context.retry),
        concurrency: usize::try_from(concurrency).unwrap_or(1),
    })
}

/// Refuses what a destination of this kind has no use for: it was meant for something.
fn belongs(path: &str, one: &wire::Destination) -> Result<(), ConfigError> {
    use wire::Kind::{File, Middleware, Otlp};
    let fields: [(&str, bool, &[wire::Kind]); 15] = [
        ("tenant", one.tenant.is_some(), &[Middleware]),
        ("key", one.key.is_some(), &[Middleware]),
        ("trace_source", one.trace_source.is_some(), &[Middleware]),
        ("endpoint", one.endpoint.is_some(), &[Middleware, Otlp]),
        ("protocol", one.protocol.is_some(), &[Otlp]),
        ("headers", !one.headers.is_empty(), &[Middleware, Otlp]),
        ("compression", one.compression.is_some(), &[Middleware, Otlp]),
        ("timeout", one.timeout.is_some(), &[Middleware, Otlp]),
        ("tls", one.tls.is_some(), &[Middleware, Otlp]),
        ("proxy_from_environment", one.proxy_from_environment.is_some(), &[Middleware, Otlp]),
        ("metrics", one.metrics.is_some(), &[Middleware, Otlp]),
        ("concurrency", one.concurrency.is_some(), &[Middleware, Otlp]),
        ("path", one.path.is_some(), &[File]),
        ("max_bytes", one.max_bytes.is_some(), &[File]),
        ("max_files", one.max_files.is_some(), &[File]),
    ];
    let stray = fields.iter().find(|(_, given, kinds)| *given && !kinds.contains(&one.kind));
    match stray {
        Some((field, ..)) => {
            let message = format!("means nothing to a destination of type {}", type_name(one.kind));
            Err(ConfigError::at(format!("{path}.{field}"), message))
        }
        None => Ok(()),
    }
}

fn type_name(kind: wire::Kind) -> &'static str {
    match kind {
        wire::Kind::Middleware => "middleware",
        wire::Kind::Otlp => "otlp",
        wire::Kind::Console => "console",
        wire::Kind::File => "file",
    }
}

fn view(one: &wire::Destination, context: &Context<'_>) -> ExportProfile {
    let overlays = one.overlays.as_deref().unwrap_or_default();
    let value_limit = one.value_limit.or(context.value_limit);
    ExportProfile {
        exclude_content: one.exclude_request_data,
        overlays: Overlays {
            openinference: overlays.contains(&Overlay::Openinference),
            tfy: overlays.contains(&Overlay::Tfy),
        },
        middleware_service: None,
        value_limit: value_limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        prices: Arc::clone(context.prices),
    }
}

fn file(path: &str, one: &wire::Destination) -> Result<FileSettings, ConfigError> {
    let file = one.path.clone().filter(|file| !file.as_os_str().is_empty());
    let file =
        file.ok_or_else(|| ConfigError::at(format!("{path}.path"), "must be set: where the lines go"))?;
    let max_bytes = one.max_bytes.map_or(FILE_BYTES, |size| size.0);
    if max_bytes < 1 << 12 {
        return Err(ConfigError::at(format!("{path}.max_bytes"), "must be 4KiB at least"));
    }
    let max_files = ranged(&format!("{path}.max_files"), one.max_files, FILES, 1, 1000)?;
    Ok(FileSettings { path: file, max_bytes, max_files })
}

fn batch(path: &str, own: &wire::Batch, general: &wire::Batch) -> Result<BatchSettings, ConfigError> {
    let events = ranged(&format!("{path}.events"), own.events.or(general.events), 512, 1, 4096)?;
    let bytes = own.bytes.or(general.bytes).map_or(2 << 20, |size| size.0);
    if !(1 << 10..=64 << 20).contains(&bytes) {
        return Err(ConfigError::at(format!("{path}.bytes"), "must be from 1KiB to 64MiB"));
    }
    let delay = own.delay.or(general.delay).map_or(Duration::from_millis(200), |time| time.0);
    if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&delay) {
        return Err(ConfigError::at(format!("{path}.delay"), "must be from 1ms to 60s"));
    }
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(BatchSettings { events: usize::try_from(events).unwrap_or(usize::MAX), bytes, delay })
}

fn retry(own: &wire::Retry, general: &wire::Retry) -> RetrySettings {
    let pick = |own: Option<weir_settings::Time>, general: Option<weir_settings::Time>, ms: u64| {
        own.or(general).map_or(Duration::from_millis(ms), |time| time.0).max(Duration::from_millis(1))
    };
    let first = pick(own.first, general.first, 200);
    RetrySettings {
        first,
        longest: pick(own.longest, general.longest, 30_000).max(first),
        slow: pick(own.slow, general.slow, 30_000),
    }
}
