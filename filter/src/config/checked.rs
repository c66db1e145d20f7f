//! The configuration as it is served from: every name resolved, every field checked.
//!
//! A request finds its model, and a key its grant, by one look into a table, so the cost of a
//! decision does not grow with the number of models or keys.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};
use weir_settings::ConfigError;

use crate::api::call::is_model_name;
use crate::api::{Family, Feature};
use crate::auth::{Grant, Keys, Patterns};
use crate::balancing::TargetIds;
use crate::capture::sampling::Sampling;
use crate::config::memory::Memory;
use crate::config::model::VirtualModel;
use crate::config::observed::Observed;
use crate::config::target::Route;
use crate::config::token::Token;
use crate::config::trace::Capture;
use crate::config::upstream::Upstream;
use crate::config::wire::{Exporter, Mode, PluginConfig};
use crate::config::{memory, model, observed, redaction, token, trace};
use crate::redaction::Redaction;

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
pub enum NoPassthrough {
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
    /// Largest response, or event of one, that is held to be rewritten, in bytes.
    pub response_body_max: usize,
    /// How much memory requests may use.
    pub memory: Memory,
    /// Whether responses have headers that say how they were produced.
    pub response_headers: bool,
    /// Whether attempts are rewritten by an upstream filter, and so can be followed by others.
    pub upstream_filter: bool,
    /// Which finished requests are sent.
    pub sampling: Sampling,
    /// How much content is captured.
    pub capture: Capture,
    /// How content is redacted; absent: none is exported.
    pub redaction: Option<Rc<Redaction>>,
    /// The way to the exporter.
    pub exporter: Option<Exporter>,
    /// What the filter itself proves to the exporter that it may send by.
    pub token: Option<Token>,
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
            let built = model::virtual_model(name, model, &upstreams, ids)?;
            let owner = built.routes.first().map(|route| route.provider().to_owned()).unwrap_or_default();
            owners.insert(name.clone(), owner);
            models.insert(name.clone(), Rc::new(built));
        }
        for (name, model) in &plugin.models {
            let Some(alias) = &model.alias else { continue };
            model::check_alias(name, model, alias, plugin)?;
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
        let redaction = redaction::redaction(plugin, variable)?;
        let memory = memory::memory(&plugin.limits, redaction.as_ref())?;
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
            memory,
            response_headers: plugin.response_headers,
            upstream_filter: plugin.upstream_filter,
            sampling: trace::sampling(&plugin.trace)?,
            capture: trace::capture(&plugin.trace)?,
            redaction: redaction.map(Rc::new),
            token: plugin
                .exporter
                .as_ref()
                .map(|exporter| token::token(exporter, variable))
                .transpose()?
                .flatten(),
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
    pub fn passthrough(
        &self,
        feature: Feature,
        family: &Family,
        named: Option<&str>,
    ) -> Result<VirtualModel, NoPassthrough> {
        let upstream = match named {
            Some(name) => {
                let named = self.upstreams.get(name).filter(|upstream| upstream.grants.has(feature));
                named.ok_or(NoPassthrough::NotGranted)?
            }
            None => {
                let mut fitting = self
                    .upstreams
                    .values()
                    .filter(|upstream| upstream.grants.has(feature) && upstream.kind.family() == family);
                let first = fitting.next().ok_or(NoPassthrough::Unknown)?;
                if fitting.next().is_some() {
                    return Err(NoPassthrough::Ambiguous);
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
