//! The thin side: proxy-wasm's contexts, and [`Host`] on its hostcalls.
//!
//! Nothing is decided here. The SDK's trait methods unwrap, so the hostcalls are used directly;
//! those panic only on a status that Envoy gives for a wrong order of calls, which the roles keep
//! right. No borrow of the VM's state is held across a hostcall that could come back into it.

mod host;
mod shared;
mod streams;
mod wasi;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use log::{error, info, warn};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel, MapType, MetricType};
use weir_event::{CONTENT_TYPE, INGEST_PATH, POLICY_PATH, v1};

use crate::config::{Config, Mode, PluginConfig, Role as ConfiguredRole};
use crate::envoy::host::{now_ns, read_headers};
use crate::envoy::shared::vm;
use crate::envoy::streams::{Stream, go_on, tick_soon};
use crate::event::capture_policy;
use crate::event::outbox;
use crate::event::outbox::CallOutcome;
use crate::event::resource;
use crate::event::vm::Vm;
use crate::headers::name;
use crate::roles::attempt::Attempt;
use crate::roles::gateway::Gateway;
use crate::roles::observer::Observer;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(Root::new(id, vm())));
}}

/// The interval of the outbox, in ns.
const FLUSH_INTERVAL_NS: u64 = outbox::FLUSH_INTERVAL.as_nanos() as u64;

/// What is known of this Envoy: by its environment, and by its node.
fn resource() -> BTreeMap<String, String> {
    let variables = wasi::variables().unwrap_or_default();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    let property = |above: &[&str], path: &[&str]| {
        hostcalls::get_property([above, path].concat()).ok().flatten().and_then(text)
    };
    // Envoys of before had the node elsewhere.
    let node = |path: &[&str]| property(&["xds", "node"], path).or_else(|| property(&["node"], path));
    resource::of_envoy(&|name| wasi::variable_in(&variables, name).map(<[u8]>::to_vec).and_then(text), &node)
}

/// How often Envoy's stats are brought up to date where nothing is traced.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

enum Plugin {
    Unconfigured,
    Gateway(Rc<Config>),
    Attempt,
}

/// Ids of the filter's own entries in Envoy's stats.
#[derive(Clone, Copy)]
struct Stats {
    /// Events created, accepted, dropped for lack of room, refused, and left out by sampling; in the order
    /// of [`Root::count`].
    events: [u32; 5],
    /// Requests under way.
    streams: u32,
    /// Events that the exporter has not taken yet.
    pending: u32,
    /// Memory of the VM in bytes, which never shrinks.
    memory: u32,
    /// How much of it is reserved for the requests under way, in bytes.
    reserved: u32,
    /// Requests refused, and responses ended, because there was no memory for them.
    overloads: u32,
}

struct Root {
    id: u32,
    vm: Rc<Vm>,
    plugin: Plugin,
    stats: Option<Stats>,
    /// The calls that this context has made and that have no response yet: a context that goes takes its
    /// responses with it.
    calls: RefCell<HashSet<u32>>,
    /// Another configuration has taken its place; it goes when its last call has its response.
    is_leaving: bool,
    /// When the outbox was last seen to, in Unix ns.
    flushed_ns: Cell<u64>,
    /// Whether its timer is set for long work.
    ticks_often: Cell<bool>,
}

impl Root {
    fn new(id: u32, vm: Rc<Vm>) -> Self {
        Self {
            id,
            vm,
            plugin: Plugin::Unconfigured,
            stats: None,
            calls: RefCell::default(),
            is_leaving: false,
            flushed_ns: Cell::default(),
            ticks_often: Cell::default(),
        }
    }

    /// Sets the timer to what the outbox needs.
    fn set_timer(&self) -> Result<(), &'static str> {
        let traces = matches!(&self.plugin, Plugin::Gateway(config) if config.exporter.is_some());
        let period = if traces { outbox::FLUSH_INTERVAL } else { Duration::ZERO };
        hostcalls::set_tick_period(period).map_err(|_| "no timer from the host")
    }

    fn configure(&mut self) -> Result<(), String> {
        let json = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX)
            .ok()
            .flatten()
            .unwrap_or_default();
        let plugin = PluginConfig::from_json(&json).map_err(|error| error.to_string())?;
        if plugin.role == ConfiguredRole::Attempt {
            self.plugin = Plugin::Attempt;
            return Ok(());
        }
        let config = Config::with_variables(&plugin, &mut self.vm.target_ids.borrow_mut(), &wasi::variable)
            .map_err(|error| error.to_string())?;
        self.vm.limit(&config);
        let is_traced = config.exporter.is_some();
        if is_traced {
            self.vm.outbox.borrow_mut().set_resource(resource());
        }
        let interval = if is_traced { outbox::FLUSH_INTERVAL } else { STATS_INTERVAL };
        hostcalls::set_tick_period(interval).map_err(|_| "no timer from the host")?;
        self.stats = define_stats();
        if config.mode == Mode::Observe {
            let hosts = if plugin.providers.is_empty() { "any host" } else { "the providers' hosts" };
            info!("weir {}: observes calls to {hosts}, and routes nothing", weir_event::VERSION);
            self.plugin = Plugin::Gateway(Rc::new(config));
            self.set_timer()?;
            return Ok(());
        }
        info!(
            "weir {}: gateway for {} models of {} providers, {}{}",
            weir_event::VERSION,
            plugin.models.len(),
            plugin.providers.len(),
            if config.is_open() {
                "open to everybody: no keys are configured"
            } else {
                "for callers with a key"
            },
            if config.exporter.is_some() { "" } else { "; no exporter is configured, so nothing is traced" },
        );
        if !config.upstream_filter {
            warn!(
                "weir runs without its upstream filter: no retry, no fallback and no limit on the first token; a request goes to its first healthy target"
            );
        }
        self.plugin = Plugin::Gateway(Rc::new(config));
        self.set_timer()?;
        Ok(())
    }

    /// Sends what is ready to be sent.
    fn flush(&self) {
        let Plugin::Gateway(config) = &self.plugin else { return };
        let Some(exporter) = &config.exporter else { return };
        let now_ns = now_ns();
        let has_unsent = self.vm.outbox.borrow_mut().has_unsent(now_ns);
        if !has_unsent || !self.vm.policy.borrow_mut().may_send(now_ns) {
            return;
        }
        self.vm.outbox.borrow_mut().withhold_content(self.vm.policy.borrow().excludes());
        loop {
            let Some(batch) = self.vm.outbox.borrow_mut().next_batch(now_ns) else { return };
            let mut headers = vec![
                (name::METHOD, "POST"),
                (name::PATH, INGEST_PATH),
                (name::AUTHORITY, exporter.authority.as_str()),
                (name::CONTENT_TYPE, CONTENT_TYPE),
            ];
            headers.extend(config.token.as_ref().map(|token| (name::AUTHORIZATION, token.header())));
            let called = hostcalls::dispatch_http_call(
                &exporter.cluster,
                headers,
                Some(&batch.body),
                Vec::new(),
                outbox::CALL_TIMEOUT,
            );
            let mut outbox = self.vm.outbox.borrow_mut();
            match called {
                Ok(token) => {
                    self.calls.borrow_mut().insert(token);
                    outbox.sent(token, batch, now_ns);
                }
                Err(_) => return outbox.not_sent(batch, now_ns, &mut self.vm.random.borrow_mut()),
            }
        }
    }

    /// Asks the exporter for the capture policy, where no answer has brought it for a while. Not before this VM has had
    /// a request: the one on Envoy's main thread never has.
    fn ask(&self) {
        let Plugin::Gateway(config) = &self.plugin else { return };
        let Some(exporter) = &config.exporter else { return };
        let is_used = !self.vm.streams.borrow().is_empty() || self.vm.outbox.borrow().totals().created > 0;
        let now_ns = now_ns();
        if !is_used || !self.vm.policy.borrow().is_to_ask(now_ns) {
            return;
        }
        let mut headers = vec![
            (name::METHOD, "GET"),
            (name::PATH, POLICY_PATH),
            (name::AUTHORITY, exporter.authority.as_str()),
        ];
        headers.extend(config.token.as_ref().map(|token| (name::AUTHORIZATION, token.header())));
        let called = hostcalls::dispatch_http_call(
            &exporter.cluster,
            headers,
            None,
            Vec::new(),
            capture_policy::ASK_TIMEOUT,
        );
        self.vm.policy.borrow_mut().asked(called.ok(), now_ns);
    }

    /// Brings Envoy's stats up to date, by what changed: the workers' figures add up.
    fn count(&self) {
        let Some(stats) = self.stats else { return };
        let (streams, gauged) = (self.vm.streams.borrow().len(), self.vm.gauged.get());
        if streams != gauged {
            let change = i64::try_from(streams).unwrap_or(0) - i64::try_from(gauged).unwrap_or(0);
            let _ = hostcalls::increment_metric(stats.streams, change);
            self.vm.gauged.set(streams);
        }
        let mut totals = self.vm.outbox.borrow().totals();
        // An Envoy that is drained waits for these too.
        totals.pending += u64::try_from(self.vm.unfinished.borrow().len()).unwrap_or(0);
        let counted = self.vm.counted.replace(totals);
        if totals.pending != counted.pending {
            let now = i64::try_from(totals.pending).unwrap_or(0);
            let _ = hostcalls::increment_metric(
                stats.pending,
                now.saturating_sub(i64::try_from(counted.pending).unwrap_or(0)),
            );
        }
        let now = (memory_bytes(), i64::try_from(self.vm.memory.used()).unwrap_or(i64::MAX));
        let noted = self.vm.memory_gauged.replace(now);
        for (id, now, noted) in [(stats.memory, now.0, noted.0), (stats.reserved, now.1, noted.1)] {
            if now != noted {
                let _ = hostcalls::increment_metric(id, now - noted);
            }
        }
        let overloads = self.vm.overloads.get();
        let noted = self.vm.overloads_counted.replace(overloads);
        if overloads > noted {
            let change = i64::try_from(overloads - noted).unwrap_or(0);
            let _ = hostcalls::increment_metric(stats.overloads, change);
        }
        let values =
            |t: &v1::Totals| [t.created, t.accepted, t.dropped_outbox_full, t.dropped_refused, t.sampled_out];
        for ((id, now), before) in stats.events.into_iter().zip(values(&totals)).zip(values(&counted)) {
            if now > before {
                let _ = hostcalls::increment_metric(id, i64::try_from(now - before).unwrap_or(0));
            }
        }
    }
}

fn define_stats() -> Option<Stats> {
    let define = |kind, name: &str| hostcalls::define_metric(kind, name).ok();
    let counter = |name: &str| define(MetricType::Counter, name);
    Some(Stats {
        events: [
            counter("weir.events_created")?,
            counter("weir.events_accepted")?,
            counter("weir.events_dropped_outbox_full")?,
            counter("weir.events_dropped_refused")?,
            counter("weir.events_sampled_out")?,
        ],
        streams: define(MetricType::Gauge, "weir.streams")?,
        pending: define(MetricType::Gauge, "weir.events_pending")?,
        memory: define(MetricType::Gauge, "weir.memory_bytes")?,
        reserved: define(MetricType::Gauge, "weir.memory_reserved_bytes")?,
        overloads: counter("weir.overloaded")?,
    })
}

/// How much memory the VM has, in bytes.
fn memory_bytes() -> i64 {
    const PAGE: usize = 64 << 10;
    i64::try_from(core::arch::wasm32::memory_size(0) * PAGE).unwrap_or(i64::MAX)
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, num_headers: usize, body_size: usize, _trailers: usize) {
        let outcome = if num_headers == 0 {
            CallOutcome::Failed
        } else {
            let headers = read_headers(MapType::HttpCallResponseHeaders);
            let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size).ok().flatten();
            CallOutcome::Status {
                status: headers
                    .number(name::STATUS)
                    .and_then(|status| u16::try_from(status).ok())
                    .unwrap_or(0),
                retry_after: headers.number(name::RETRY_AFTER),
                body: body.unwrap_or_default(),
            }
        };
        let now_ns = now_ns();
        if !self.vm.policy.borrow_mut().answered(token, &outcome, now_ns) {
            self.vm.outbox.borrow_mut().answered(token, outcome, now_ns, &mut self.vm.random.borrow_mut());
        }
        self.calls.borrow_mut().remove(&token);
        if !self.is_leaving {
            self.flush();
        } else if self.calls.borrow().is_empty() {
            // Only after `on_done` has said that there is more to do; anything else is an error.
            let _ = hostcalls::done();
        }
    }

    /// The configuration is replaced, or Envoy ends. What this context has begun it brings to an end; what
    /// is left in the outbox is its successor's.
    fn on_done(&mut self) -> bool {
        self.vm.finish_events();
        self.flush();
        self.is_leaving = !self.calls.borrow().is_empty();
        !self.is_leaving
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        match self.configure() {
            Ok(()) => true,
            Err(message) => {
                error!("weir cannot use its configuration: {message}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let has_more = go_on(self.id);
        match has_more {
            // Others may have begun it, with a timer of theirs.
            Some(true) if !self.ticks_often.replace(true) => tick_soon(),
            Some(false) => {
                self.ticks_often.set(false);
                // Where the host refuses it, the timer only comes more often than it must.
                let _ = self.set_timer();
            }
            Some(true) | None => {}
        }
        let now_ns = now_ns();
        let is_due = now_ns.saturating_sub(self.flushed_ns.get()) >= FLUSH_INTERVAL_NS;
        if !self.is_leaving && (has_more.is_none() || is_due) {
            self.flushed_ns.set(now_ns);
            self.ask();
            self.flush();
            self.count();
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(match &self.plugin {
            Plugin::Gateway(config) if config.mode == Mode::Observe => {
                Box::new(Stream::new(id, Observer::new(Rc::clone(config), Rc::clone(&self.vm))))
            }
            Plugin::Gateway(config) => {
                Box::new(Stream::new(id, Gateway::new(Rc::clone(config), Rc::clone(&self.vm))))
            }
            Plugin::Attempt => Box::new(Stream::new(id, Attempt::new(Rc::clone(&self.vm)))),
            // Envoy serves nothing through a plugin that refused its configuration.
            Plugin::Unconfigured => return None,
        })
    }
}
