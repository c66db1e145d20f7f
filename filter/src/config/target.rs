//! Where one target of a model leads: a provider, a model's name there, and what its requests have.

use std::{collections::HashMap, rc::Rc};

use weir_settings::{ConfigError, did_you_mean};

use crate::api::call::Call;
use crate::api::call::is_model_name;
use crate::api::endpoint::Endpoint;
use crate::api::kind::Kind;
use crate::api::{Api, Feature};
use crate::auth::SECRET_HEADERS;
use crate::balancing::{TargetId, TargetIds};
use crate::config::upstream::Upstream;
use crate::config::wire::Target;
use crate::headers::HeaderValue;
use crate::json::edit::Params;

/// Headers that Envoy or the filter decide on, beside those that carry credentials.
const OWN_HEADERS: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade"];

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
    /// Where this VM stores what it has seen of the target.
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

impl Route {
    /// A target about which nothing is said but provider and model.
    pub(crate) fn plain(upstream: Rc<Upstream>, model: String) -> Self {
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

    pub(crate) fn new(
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

/// Checks the name of a model.
pub(crate) fn check_model(name: &str) -> Result<(), String> {
    if is_model_name(name) {
        return Ok(());
    }
    Err("a model's name is 1 to 256 bytes without control characters, and no part of it is '.' or '..'"
        .to_owned())
}
