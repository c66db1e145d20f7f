//! The configuration as it is served from: every name resolved, every field checked.
//!
//! A request finds its model, and a key its grant, by one look into a table, so the cost of a
//! decision does not grow with the number of models or keys.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;

use super::observed::{self, Observed};
use super::wire::{Exporter, Mode, Model, PluginConfig, Provider, Target, Timeouts, Trace};
use super::{ConfigError, did_you_mean};
use crate::access::{Grant, Keys, Patterns, SECRET_HEADERS};
use crate::api::call::is_model_name;
use crate::api::{Api, Call, Family, Feature, Features, Kind, Settings};
use crate::duration::Duration;
use crate::endpoint::Endpoint;
use crate::headers::HeaderValue;
use crate::redaction::Redaction;
use crate::sampling::Sampling;
use crate::splice::Params;
use crate::strategy::sticky::Seed;
use crate::strategy::{Candidate, Condition, Policy, Strategy, TargetId, TargetIds};

/// Longest name of a provider, in bytes: it becomes part of an Envoy cluster's name.
const PROVIDER_NAME_MAX: usize = 64;
/// Most targets of one model.
const TARGETS_MAX: usize = 32;
/// Most attempts at one target.
const TRIES_MAX: u32 = 5;
/// Shortest and longest pause before another attempt.
const BACKOFF_MIN: Duration = Duration::from_ms(1);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Headers that Envoy or the filter decide on, beside those that carry credentials.
const OWN_HEADERS: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade"];

/// Least and most that may be kept of one request's content, in bytes.
const CAPTURE_MIN: u64 = 1 << 10;
const CAPTURE_MAX: u64 = 1 << 20;

/// How much content is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Most bytes of a request, and again of its answer.
    pub limit: usize,
    /// Most bytes of all requests that are under way in one VM.
    pub budget: usize,
}

/// A provider, ready for use.
#[derive(Debug)]
struct Upstream {
    name: String,
    kind: Kind,
    settings: Settings,
    endpoint: Endpoint,
    cluster: String,
    include_usage: bool,
    grants: Features,
}

/// Where one target of a model leads, ready for use.
#[derive(Debug)]
pub struct Route {
    upstream: Rc<Upstream>,
    /// The model's name at the provider.
    pub model: String,
    /// What every request to it has, or has at most.
    pub params: Params,
    /// Headers that are set.
    pub set_headers: Vec<(String, String)>,
    /// Headers of the caller's that do not go on.
    pub removed_headers: Vec<String>,
    /// Whether the provider receives the trace context.
    pub propagate: bool,
    /// Where this VM keeps what it has seen of the target.
    pub id: TargetId,
}

impl Route {
    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.upstream.name
    }

    /// The kind of provider.
    pub fn kind(&self) -> Kind {
        self.upstream.kind
    }

    /// The provider's URL in parts.
    pub fn endpoint(&self) -> &Endpoint {
        &self.upstream.endpoint
    }

    /// The Envoy cluster that leads to it.
    pub fn cluster(&self) -> &str {
        &self.upstream.cluster
    }

    /// Whether the provider may be asked for the usage of a stream.
    pub fn include_usage(&self) -> bool {
        self.upstream.include_usage
    }

    /// Whether the provider grants what reaches beyond a call.
    pub fn grants(&self, feature: Feature) -> bool {
        self.upstream.grants.has(feature)
    }

    /// The path and query of a call; `None` where the provider does not serve it.
    pub fn path(&self, call: &Call) -> Option<String> {
        self.upstream.kind.path(
            call,
            &self.upstream.endpoint.path_prefix,
            &self.model,
            &self.upstream.settings,
        )
    }

    /// The model as a body names it there, as a JSON string, and whether a body must name it.
    pub fn model_in_body(&self, api: Api) -> (String, bool) {
        let name = self.upstream.kind.name_in_body(api, &self.model);
        let required = !self.upstream.kind.takes_model_from_path(api, &self.upstream.settings);
        (serde_json::Value::from(name).to_string(), required)
    }
}

/// When a target is tried again and when the next one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// How often a target is tried in all.
    pub attempts: u32,
    /// The statuses after which it is tried again.
    pub retry_on: Vec<u16>,
    /// The statuses after which the next one is tried.
    pub fallback_on: Vec<u16>,
}

/// A model with its targets, ready for use.
#[derive(Debug)]
pub struct VirtualModel {
    /// How the targets are put in order.
    pub policy: Policy,
    /// The targets as the strategy sees them.
    pub candidates: Vec<Candidate>,
    /// The same as attempts see them.
    pub routes: Vec<Rc<Route>>,
    /// When which target is tried next.
    pub failover: Rc<Failover>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// The pause before another attempt, where it is not the usual one.
    pub backoff: Option<Duration>,
}

/// What a name that a caller used stands for.
#[derive(Debug)]
pub struct Resolved {
    /// Which rule decided.
    pub rule: String,
    /// The model.
    pub model: Rc<VirtualModel>,
}

/// Why a request is passed through to no provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPassage {
    /// No provider that speaks its API grants it.
    Unknown,
    /// The provider that it names does not grant it.
    NotGranted,
    /// Several providers do, and it names none.
    Ambiguous,
}

/// Identity from jwt_authn, checked.
#[derive(Debug)]
pub struct JwtSource {
    /// The key of the payload in jwt_authn's dynamic metadata.
    pub payload: String,
    /// The claim that names the user.
    pub user_claim: String,
    /// The claim that names the team; empty: none.
    pub team_claim: String,
    /// What holders of a token may do.
    pub grant: Rc<Grant>,
}

/// A checked configuration of the gateway role.
#[derive(Debug)]
pub struct Config {
    /// What is done with requests.
    pub mode: Mode,
    /// Which requests are observed, where that is all that is done.
    pub observed: Observed,
    upstreams: HashMap<String, Rc<Upstream>>,
    models: HashMap<String, Rc<VirtualModel>>,
    owners: BTreeMap<String, String>,
    /// The keys of callers.
    pub keys: Keys,
    /// Identity from a verified token.
    pub jwt: Option<JwtSource>,
    /// Largest request body in bytes.
    pub request_body_max: usize,
    /// Largest answer, or event of one, that is held to be rewritten, in bytes.
    pub response_body_max: usize,
    /// Whether answers say how they came about.
    pub response_headers: bool,
    /// Whether attempts are rewritten by an upstream filter, and so can be followed by others.
    pub upstream_filter: bool,
    /// Which finished requests are sent.
    pub sampling: Sampling,
    /// How much content is kept.
    pub capture: Capture,
    /// What becomes of content; absent: none is told.
    pub redaction: Option<Rc<Redaction>>,
    /// The way to the exporter.
    pub exporter: Option<Exporter>,
    /// What the filter itself proves to the exporter that it may send by.
    pub token: Option<Token>,
}

/// The exporter's token as the value of a header.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The value of `authorization`.
    pub fn header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Config {
    /// Checks a configuration where it is not served from: a key that an environment variable holds in
    /// Envoy's process is taken to be there.
    pub fn new(plugin: &PluginConfig, ids: &mut TargetIds) -> Result<Self, ConfigError> {
        Self::with_variables(plugin, ids, &|_| Some(vec![b'0'; 64]))
    }

    /// Checks a configuration and puts it into the form that requests are served from. `ids` are
    /// those of the VM, so that what it knows of a target outlives a reload; `variable` looks an
    /// environment variable up.
    pub fn with_variables(
        plugin: &PluginConfig,
        ids: &mut TargetIds,
        variable: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, ConfigError> {
        let observed = match plugin.mode {
            Mode::Route => Observed::default(),
            Mode::Observe => observed::check(plugin).and_then(|()| Observed::new(&plugin.providers))?,
        };
        let mut upstreams = HashMap::new();
        for (name, provider) in &plugin.providers {
            upstreams.insert(name.clone(), Rc::new(Upstream::new(name, provider)?));
        }
        if let Some(exporter) = &plugin.exporter
            && let Some(upstream) = upstreams.values().find(|upstream| upstream.cluster == exporter.cluster)
        {
            return Err(ConfigError::at(
                "exporter.cluster",
                format!(
                    "{:?} is the cluster of provider {:?}, which carries this filter: a call to it would \
                     re-enter the VM; give the exporter a cluster of its own",
                    exporter.cluster, upstream.name
                ),
            ));
        }
        let (mut models, mut owners) = (HashMap::with_capacity(plugin.models.len()), BTreeMap::new());
        for (name, model) in plugin.models.iter().filter(|(_, model)| model.alias.is_none()) {
            let built = virtual_model(name, model, &upstreams, ids)?;
            let owner = built.routes.first().map(|route| route.provider().to_owned()).unwrap_or_default();
            owners.insert(name.clone(), owner);
            models.insert(name.clone(), Rc::new(built));
        }
        for (name, model) in &plugin.models {
            let Some(alias) = &model.alias else { continue };
            check_alias(name, model, alias, plugin)?;
            if let (Some(meant), Some(owner)) = (models.get(alias).map(Rc::clone), owners.get(alias).cloned())
            {
                models.insert(name.clone(), meant);
                owners.insert(name.clone(), owner);
            }
        }
        let jwt = plugin.jwt.as_ref().map(|jwt| {
            let models = match &jwt.models {
                Some(patterns) => Patterns::new(patterns, "jwt.models")?,
                None => Patterns::every(),
            };
            Ok(JwtSource {
                payload: jwt.payload.clone(),
                user_claim: jwt.user_claim.clone(),
                team_claim: jwt.team_claim.clone().unwrap_or_default(),
                grant: Rc::new(Grant {
                    models,
                    features: jwt.grants.iter().copied().collect(),
                    ..Grant::open()
                }),
            })
        });
        Ok(Self {
            mode: plugin.mode,
            observed,
            upstreams,
            models,
            owners,
            keys: Keys::new(&plugin.keys)?,
            jwt: jwt.transpose()?,
            request_body_max: usize::try_from(plugin.limits.request_body.0).unwrap_or(usize::MAX),
            response_body_max: usize::try_from(plugin.limits.response_body.0).unwrap_or(usize::MAX),
            response_headers: plugin.response_headers,
            upstream_filter: plugin.upstream_filter,
            sampling: sampling(&plugin.trace)?,
            capture: capture(&plugin.trace)?,
            redaction: Redaction::new(plugin, variable)?.map(Rc::new),
            token: plugin.exporter.as_ref().map(|exporter| token(exporter, variable)).transpose()?.flatten(),
            exporter: plugin.exporter.clone(),
        })
    }

    /// Whether everybody may call: there are no keys and no tokens are asked for.
    pub fn is_open(&self) -> bool {
        self.keys.is_open() && self.jwt.is_none()
    }

    /// What a name stands for: a model of the table, else `provider/model`.
    pub fn resolve(&self, name: &str) -> Option<Resolved> {
        if let Some(model) = self.models.get(name) {
            return Some(Resolved { rule: format!("models.{name}"), model: Rc::clone(model) });
        }
        let (provider, model) = name.split_once('/')?;
        let upstream = self.upstreams.get(provider)?;
        if !is_model_name(model) {
            return None;
        }
        let route = Route::plain(Rc::clone(upstream), model.to_owned());
        Some(Resolved { rule: "provider/model".to_owned(), model: Rc::new(VirtualModel::of(route)) })
    }

    /// Whether some provider grants a feature.
    pub fn grants(&self, feature: Feature) -> bool {
        self.upstreams.values().any(|upstream| upstream.grants.has(feature))
    }

    /// Where a request is passed through to: the provider that it names, else the only one that speaks
    /// its API and grants the feature.
    pub fn passage(
        &self,
        feature: Feature,
        family: Family,
        named: Option<&str>,
    ) -> Result<VirtualModel, NoPassage> {
        let upstream = match named {
            Some(name) => {
                let named = self.upstreams.get(name).filter(|upstream| upstream.grants.has(feature));
                named.ok_or(NoPassage::NotGranted)?
            }
            None => {
                let mut fitting = self
                    .upstreams
                    .values()
                    .filter(|upstream| upstream.grants.has(feature) && upstream.kind.family() == family);
                let first = fitting.next().ok_or(NoPassage::Unknown)?;
                if fitting.next().is_some() {
                    return Err(NoPassage::Ambiguous);
                }
                first
            }
        };
        Ok(VirtualModel::of(Route::plain(Rc::clone(upstream), String::new())))
    }

    /// The models of the table that a grant allows, with the provider of the first target, by name.
    pub fn models_for<'a>(&'a self, grant: &'a Grant) -> impl Iterator<Item = (&'a str, &'a str)> {
        let allowed = self.owners.iter().filter(|(name, _)| grant.models.allows(name));
        allowed.map(|(name, owner)| (name.as_str(), owner.as_str()))
    }
}

/// The Envoy cluster that leads to a provider, unless it names another.
pub fn cluster_name(provider: &str) -> String {
    format!("provider.{provider}")
}

impl Upstream {
    fn new(name: &str, provider: &Provider) -> Result<Self, ConfigError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > PROVIDER_NAME_MAX || !name.chars().all(allowed) {
            let message =
                format!("a provider's name is 1 to {PROVIDER_NAME_MAX} letters, digits, '-', '_' or '.'");
            return Err(ConfigError::at(format!("providers.{name:?}"), message));
        }
        let endpoint = Endpoint::parse(&provider.url)
            .map_err(|message| ConfigError::at(format!("providers.{name}.url"), message))?;
        let settings = Settings::new(provider.api_version.clone())
            .map_err(|error| ConfigError::at(format!("providers.{name}.api_version"), error.to_string()))?;
        let refuses = provider.api.refuses_include_usage(&endpoint.host, &settings);
        let include_usage = provider.include_usage.unwrap_or(!refuses);
        Ok(Self {
            name: name.to_owned(),
            kind: provider.api,
            settings,
            endpoint,
            cluster: provider.cluster.clone().unwrap_or_else(|| cluster_name(name)),
            include_usage,
            grants: provider.grants.iter().copied().collect(),
        })
    }
}

impl Route {
    /// A target about which nothing is said but provider and model.
    fn plain(upstream: Rc<Upstream>, model: String) -> Self {
        let propagate = upstream.endpoint.is_private();
        Self {
            upstream,
            model,
            params: Params::default(),
            set_headers: Vec::new(),
            removed_headers: Vec::new(),
            propagate,
            id: TargetId::UNTRACKED,
        }
    }

    fn new(
        target: &Target,
        model: &str,
        path: &str,
        upstreams: &HashMap<String, Rc<Upstream>>,
        ids: &mut TargetIds,
    ) -> Result<Self, ConfigError> {
        let Some(upstream) = upstreams.get(&target.provider) else {
            let hint = did_you_mean(&target.provider, upstreams.keys().map(String::as_str));
            let message = format!("no provider named {:?}{hint}", target.provider);
            return Err(ConfigError::at(format!("{path}.provider"), message));
        };
        let model = target.model.as_deref().unwrap_or(model);
        check_model(model).map_err(|message| ConfigError::at(format!("{path}.model"), message))?;
        let params = Params::new(&target.params, &target.caps)
            .map_err(|error| ConfigError::at(format!("{path}.params"), error.to_string()))?;
        for (name, value) in &target.headers.set {
            check_header(name, value)
                .map_err(|message| ConfigError::at(format!("{path}.headers.set.{name}"), message))?;
        }
        let id = ids.id(&format!("{}/{model}", target.provider));
        let plain = Self::plain(Rc::clone(upstream), model.to_owned());
        Ok(Self {
            params,
            set_headers: target.headers.set.clone().into_iter().collect(),
            removed_headers: target.headers.remove.iter().map(|name| name.to_ascii_lowercase()).collect(),
            propagate: target.propagate.unwrap_or(plain.propagate),
            id,
            ..plain
        })
    }
}

impl VirtualModel {
    /// A model of one target, tried once.
    fn of(route: Route) -> Self {
        let candidate =
            Candidate { id: route.id, seed: Seed::new("", 0), weight: 1, when: None, may_fallback: true };
        Self {
            policy: Policy::default(),
            candidates: vec![candidate],
            routes: vec![Rc::new(route)],
            failover: Rc::new(Failover { attempts: 1, retry_on: Vec::new(), fallback_on: Vec::new() }),
            timeouts: Timeouts::default(),
            backoff: None,
        }
    }
}

fn token(
    exporter: &Exporter,
    variable: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Option<Token>, ConfigError> {
    let Some(source) = &exporter.token else { return Ok(None) };
    let at = |message: &str| {
        let message = format!("the environment variable {} {message}", source.env);
        ConfigError::at("exporter.token.env", message)
    };
    let bytes = variable(&source.env).ok_or_else(|| at("is not set in Envoy's process"))?;
    let is_plain = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    let text = String::from_utf8(bytes).ok().filter(|_| is_plain);
    let text = text.ok_or_else(|| at("must hold letters, digits and signs only"))?;
    Ok(Some(Token(format!("Bearer {text}"))))
}

fn sampling(trace: &Trace) -> Result<Sampling, ConfigError> {
    if !(0.0..=1.0).contains(&trace.sample) {
        return Err(ConfigError::at("trace.sample", format!("{} is not from 0 to 1", trace.sample)));
    }
    Ok(Sampling {
        ratio: trace.sample,
        always_keep: trace.always_keep.clone(),
        follow_caller: trace.follow_caller,
    })
}

fn capture(trace: &Trace) -> Result<Capture, ConfigError> {
    let (limit, budget) = (trace.capture_limit, trace.capture_budget);
    if !(CAPTURE_MIN..=CAPTURE_MAX).contains(&limit.0) {
        let message = format!("{limit} is not from 1 KiB to 1 MiB");
        return Err(ConfigError::at("trace.capture_limit", message));
    }
    Ok(Capture {
        limit: usize::try_from(limit.0).unwrap_or(usize::MAX),
        budget: usize::try_from(budget.0).unwrap_or(usize::MAX),
    })
}

fn virtual_model(
    name: &str,
    model: &Model,
    upstreams: &HashMap<String, Rc<Upstream>>,
    ids: &mut TargetIds,
) -> Result<VirtualModel, ConfigError> {
    let at = |field: &str| format!("models.{name}.{field}");
    check_model(name).map_err(|message| ConfigError::at(format!("models.{name:?}"), message))?;
    if !(1..=TARGETS_MAX).contains(&model.targets.len()) {
        let message = format!("{} targets given; give 1 to {TARGETS_MAX}, or an alias", model.targets.len());
        return Err(ConfigError::at(at("targets"), message));
    }
    let (mut candidates, mut routes) = (Vec::new(), Vec::new());
    for (index, target) in model.targets.iter().enumerate() {
        let path = at(&format!("targets[{index}]"));
        let route = Route::new(target, name, &path, upstreams, ids)?;
        let when =
            target.when.as_ref().map(|when| Condition::new(when, &format!("{path}.when"))).transpose()?;
        candidates.push(Candidate {
            id: route.id,
            seed: Seed::new(&format!("{}/{}", route.provider(), route.model), index),
            weight: target.weight,
            when,
            may_fallback: target.fallback,
        });
        routes.push(Rc::new(route));
    }
    if model.strategy == Strategy::Weighted && candidates.iter().all(|candidate| candidate.weight == 0) {
        let message = "every weight is 0, so no target would ever be first; give one a weight above 0";
        return Err(ConfigError::at(at("targets"), message));
    }
    if model.retry.backoff.is_some_and(|backoff| !(BACKOFF_MIN..=BACKOFF_MAX).contains(&backoff)) {
        let message = format!("must be from {BACKOFF_MIN} to {BACKOFF_MAX}");
        return Err(ConfigError::at(at("retry.backoff"), message));
    }
    if !(1..=TRIES_MAX).contains(&model.retry.attempts) {
        let message = format!("{} attempts; give 1 (no retry) to {TRIES_MAX}", model.retry.attempts);
        return Err(ConfigError::at(at("retry.attempts"), message));
    }
    for (field, statuses) in [("retry.on", &model.retry.on), ("fallback.on", &model.fallback.on)] {
        if let Some(status) = statuses.iter().find(|status| !(400..600).contains(*status)) {
            let message = format!("{status} is no status of a failure; give 400 to 599");
            return Err(ConfigError::at(at(field), message));
        }
    }
    model.health.check(&at("health"))?;
    if let Some(sticky) = &model.sticky {
        sticky.check(&at("sticky"))?;
    }
    Ok(VirtualModel {
        policy: Policy { strategy: model.strategy, health: model.health, sticky: model.sticky.clone() },
        candidates,
        routes,
        failover: Rc::new(Failover {
            attempts: model.retry.attempts,
            retry_on: model.retry.on.clone(),
            fallback_on: model.fallback.on.clone(),
        }),
        timeouts: model.timeouts.clone(),
        backoff: model.retry.backoff,
    })
}

fn check_alias(name: &str, model: &Model, alias: &str, plugin: &PluginConfig) -> Result<(), ConfigError> {
    let path = format!("models.{name}.alias");
    check_model(name).map_err(|message| ConfigError::at(format!("models.{name:?}"), message))?;
    let only_alias = Model { alias: model.alias.clone(), ..Model::default() };
    if *model != only_alias {
        return Err(ConfigError::at(
            path,
            "an alias stands alone; give the other fields to the model it names",
        ));
    }
    match plugin.models.get(alias) {
        Some(meant) if meant.alias.is_none() => Ok(()),
        Some(_) => {
            Err(ConfigError::at(path, format!("{alias:?} is an alias itself; name the model it stands for")))
        }
        None => {
            let hint = did_you_mean(alias, plugin.models.keys().map(String::as_str));
            Err(ConfigError::at(path, format!("no model named {alias:?}{hint}")))
        }
    }
}

fn check_model(name: &str) -> Result<(), String> {
    if is_model_name(name) {
        return Ok(());
    }
    Err("a model's name is 1 to 256 bytes without control characters, and no part of it is '.' or '..'"
        .to_owned())
}

fn check_header(name: &str, value: &str) -> Result<(), String> {
    let own = SECRET_HEADERS.iter().chain(&OWN_HEADERS).any(|own| own.eq_ignore_ascii_case(name));
    if own || name.starts_with("x-envoy-") || name.starts_with("x-weir-") {
        return Err("cannot be set here: it is the gateway's, or carries a credential".to_owned());
    }
    if http::HeaderName::from_lowercase(name.as_bytes()).is_err() {
        return Err("must be a header's name in lowercase".to_owned());
    }
    if HeaderValue::new(value.as_bytes()).is_none() {
        return Err("must hold no control character".to_owned());
    }
    Ok(())
}
