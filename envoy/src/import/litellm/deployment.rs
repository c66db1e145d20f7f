//! One entry of LiteLLM's `model_list`: its provider, the key that goes there, and the target that it becomes.
//!
//! A key goes to the host that the file sends it to, and to no other one. Where the file leaves the host or the key to
//! LiteLLM's defaults, a key that usually belongs to one provider is not sent to another's host.

use serde_json::{Map, Value, json};

use crate::{
    import::common::{
        host::Host,
        keys::{ENVIRONMENT, Key, Variables, variable},
        notes::Notes,
        routing::{Draft, KNOWN, Known, known, prefix_of},
        value::{duration, items, number},
    },
    yaml::set,
};

/// Fields of `litellm_params` that are parameters of the request, and stay so.
const PARAMETERS: &str = "temperature top_p max_tokens max_completion_tokens presence_penalty frequency_penalty \
     seed reasoning_effort stop";
/// Fields of it that say where the model is.
const PLACE: &str = "model api_base base_url api_key api_version weight order timeout custom_llm_provider \
     litellm_credential_name";
/// Fields of it that may hold secrets of their own.
const HEADERS: &str = "extra_headers headers default_headers organization";

/// A field of a map; null where it has none.
fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    static NULL: Value = Value::Null;
    value.get(name).unwrap_or(&NULL)
}

/// What the file says outside of an entry and is the entry's where it says nothing itself.
pub(super) struct Defaults<'a>(&'a Value);

impl<'a> Defaults<'a> {
    pub(super) fn of(file: &'a Value) -> Self {
        Self(file)
    }

    /// The parameters of an entry with what they do not say themselves, by LiteLLM's own precedence: the credential
    /// that they name, the router's defaults, the library's.
    fn complete(&self, path: &str, own: &Value, notes: &mut Notes) -> Value {
        let Self(file) = self;
        let mut params = Map::new();
        let mut add = |from: &Value, fields: Option<&[&str]>| {
            for (field, value) in from.as_object().into_iter().flatten() {
                let wanted = fields.is_none_or(|fields| fields.contains(&field.as_str()));
                if wanted && !value.is_null() {
                    params.entry(field.clone()).or_insert_with(|| value.clone());
                }
            }
        };
        add(own, None);
        if let Some(name) = own["litellm_credential_name"].as_str() {
            let named = items(&file["credential_list"]).find(|one| one["credential_name"] == json!(name));
            match named {
                Some(credential) => add(&credential["credential_values"], None),
                None => {
                    notes.add(
                        &format!("{path}.litellm_params.litellm_credential_name"),
                        "is not in the file's credential_list; write its URL and key yourself",
                    );
                    // A key that nobody can see is one of its own.
                    add(&json!({"api_key": format!("credential {name}")}), None);
                }
            }
        }
        let router = &file["router_settings"];
        add(field(router, "default_litellm_params"), None);
        add(&file["litellm_settings"], Some(&["api_key", "api_base", "api_version"]));
        Value::Object(params)
    }

    /// What the file itself sets a variable to.
    fn environment(&self, variable: &str) -> Option<&'a str> {
        field(field(self.0, "environment_variables"), variable).as_str()
    }
}

/// URLs to be filled in: one for each host that the file does not name.
#[derive(Default)]
pub(super) struct Unnamed(Vec<String>);

impl Unnamed {
    /// The URL that stands for a host that only `known_as` is known of.
    fn url(&mut self, known_as: String) -> String {
        let index = self.0.iter().position(|there| *there == known_as).unwrap_or_else(|| {
            self.0.push(known_as);
            self.0.len().saturating_sub(1)
        });
        match index {
            0 => "http://set-me.invalid".to_owned(),
            others => format!("http://set-me-{}.invalid", others.saturating_add(1)),
        }
    }
}

/// An entry that can be carried over.
pub(super) struct Deployment<'a> {
    path: String,
    pub(super) name: &'a str,
    params: Value,
    prefix: String,
    model: String,
    known: &'static Known,
    host: Host,
    /// Whether the file says the host, rather than that it follows from the provider's name.
    placed: bool,
    key: Key,
}

impl<'a> Deployment<'a> {
    /// Reads an entry; nothing where it cannot be carried over.
    pub(super) fn read(
        path: String,
        name: &'a str,
        own: &Value,
        defaults: &Defaults<'_>,
        unnamed: &mut Unnamed,
        notes: &mut Notes,
    ) -> Option<Self> {
        let at = |field: &str| format!("{path}.litellm_params.{field}");
        let Some(written) = own["model"].as_str() else {
            notes.add(&at("model"), "is missing");
            return None;
        };
        let (prefix, model) = match (own["custom_llm_provider"].as_str(), written.split_once('/')) {
            (Some(prefix), _) => (prefix, written),
            (None, Some(parts)) => parts,
            (None, None) => (prefix_of(written), written),
        };
        let Some(known) =
            known(prefix).filter(|(known, ..)| prefix.starts_with(known) || prefix.ends_with(known))
        else {
            let message =
                format!("providers of the kind {prefix:?} cannot be reached yet; {name:?} does without it");
            notes.add(&at("model"), &message);
            return None;
        };
        if model.contains('*') || name.contains('*') {
            notes.add(
                &at("model"),
                "patterns are not needed: provider/model always works, where the caller's key allows it",
            );
            return None;
        }
        let params = defaults.complete(&path, own, notes);
        let (host, placed) = host(&path, prefix, known, &params, defaults, unnamed, notes)?;
        let (prefix, model, key) = (prefix.to_owned(), model.to_owned(), Key::of(field(&params, "api_key")));
        Some(Self { path, name, params, prefix, model, known, host, placed, key })
    }

    /// Its place among the targets of its model.
    pub(super) fn order(&self) -> f64 {
        number(field(&self.params, "order")).unwrap_or(0.0)
    }

    /// How long a request may take, as ours is written.
    pub(super) fn timeout(&self) -> Option<String> {
        number(field(&self.params, "timeout")).and_then(duration)
    }

    fn at(&self, field: &str) -> String {
        format!("{}.litellm_params.{field}", self.path)
    }

    /// The variable that holds the key by the file's word, or by custom where the file has none.
    fn wanted(&self) -> Option<&str> {
        let (kind, _, url, usual) = *self.known;
        match &self.key {
            // Custom alone brings the key of one provider to another's host: that is no wish of the file's.
            Key::Named(variable)
                if !self.placed && !self.is_home_of(variable) && home(variable).is_some() =>
            {
                None
            }
            Key::Named(variable) => Some(variable),
            Key::Absent if usual.is_empty() => None,
            Key::Absent if self.is_home_of(usual) || (url.is_empty() && self.prefix == kind) => Some(usual),
            Key::Absent | Key::Without | Key::Literal(_) => None,
        }
    }

    /// Whether a variable usually holds the key of this very host.
    fn is_home_of(&self, variable: &str) -> bool {
        home(variable).is_some_and(|origin| origin == self.host.origin)
    }

    /// How good this entry's claim on its variable is; the lowest comes first.
    fn rank(&self) -> usize {
        match (&self.key, self.wanted()) {
            (_, Some(variable)) if self.is_home_of(variable) => 0,
            (Key::Named(_), _) => 1,
            _ => 2,
        }
    }

    /// The variable that holds the key in the file that is being made; none where nothing is sent.
    fn variable(&self, draft: &mut Draft, notes: &mut Notes) -> Option<String> {
        let origin = &self.host.origin;
        if let Some(variable) = self.wanted()
            && draft.variables.claim(variable, origin)
        {
            if matches!(self.key, Key::Named(_)) && !self.is_home_of(variable) && home(variable).is_some() {
                let message = format!(
                    "{variable} usually holds another provider's key; it goes to {origin} because the file says so"
                );
                notes.add(&self.at("api_key"), &message);
            }
            return Some(variable.to_owned());
        }
        let (_, _, url, usual) = *self.known;
        let preferred = Some(usual).filter(|usual| self.is_home_of(usual));
        let stem = draft.next_name(&self.prefix);
        match &self.key {
            Key::Without => None,
            Key::Absent if usual.is_empty() => None,
            Key::Absent if !url.is_empty() => {
                let message = format!(
                    "is missing, so nothing is sent to {origin}: {usual} belongs to another host. If {origin} asks for a \
                     key, give the provider one of its own"
                );
                notes.add(&self.at("api_key"), &message);
                None
            }
            Key::Absent => {
                let own = draft.variables.own("", origin, None, &stem, "API_KEY");
                let message = format!(
                    "is missing; put the key of {origin} into the variable {own} of Envoy's environment"
                );
                notes.add(&self.at("api_key"), &message);
                Some(own)
            }
            Key::Named(variable) => {
                let own =
                    draft.variables.own(&format!("{ENVIRONMENT}{variable}"), origin, None, &stem, "API_KEY");
                let message = format!(
                    "{variable} is another host's, and no variable is sent to two hosts; put the key of {origin} into the \
                     variable {own} of Envoy's environment"
                );
                notes.add(&self.at("api_key"), &message);
                Some(own)
            }
            Key::Literal(key) => {
                let own = draft.variables.own(key, origin, preferred, &stem, "API_KEY");
                let message = format!(
                    "a key stands in the file itself; put it into the variable {own} of Envoy's environment"
                );
                notes.add(&self.at("api_key"), &message);
                Some(own)
            }
        }
    }

    /// The target that this entry becomes, and its provider with it.
    pub(super) fn target(&self, draft: &mut Draft, notes: &mut Notes) -> Value {
        let (_, api, ..) = *self.known;
        let mut provider = json!({"api": api, "url": self.host.url});
        if let Some(variable) = self.variable(draft, notes) {
            if self.host.in_clear {
                let message = format!(
                    "is plain http beyond this machine: whoever listens on the way can read the key in {variable}; use https"
                );
                notes.add(&self.at("api_base"), &message);
            }
            set(&mut provider, "key", json!({"env": variable}));
        }
        if api == "azure-openai" {
            match field(&self.params, "api_version").as_str() {
                Some(version) if !version.starts_with(ENVIRONMENT) => {
                    set(&mut provider, "api_version", version);
                }
                _ => notes.add(
                    &self.at("api_version"),
                    "is missing or not in the file; Azure's `v1` API is called without one",
                ),
            }
        }
        let provider = draft.provider(&self.prefix, provider);
        let mut target = json!({"provider": provider});
        if self.model != self.name {
            set(&mut target, "model", self.model.as_str());
        }
        if let Some(weight) = field(&self.params, "weight").as_u64() {
            set(&mut target, "weight", weight);
        }
        let params = self.parameters(notes);
        if !params.is_empty() {
            set(&mut target, "params", params);
        }
        let path = format!("{}.litellm_params", self.path);
        for name in HEADERS.split(' ') {
            if !field(&self.params, name).is_null() {
                notes.add(
                    &self.at(name),
                    "stays behind, since it may hold secrets; `headers` of a target can set what holds none",
                );
            }
        }
        let known = format!("{PARAMETERS} {PLACE} {HEADERS}");
        notes.others(&path, &self.params, &known, "has no equal here");
        target
    }

    /// The parameters of the request that the entry sets.
    fn parameters(&self, notes: &mut Notes) -> Map<String, Value> {
        let mut set = Map::new();
        for name in PARAMETERS.split(' ') {
            match field(&self.params, name) {
                Value::Null => {}
                Value::String(text) if text.starts_with(ENVIRONMENT) => {
                    let message = "a parameter cannot come from the environment; write its value";
                    notes.add(&self.at(name), message);
                }
                value => {
                    set.insert(name.to_owned(), value.clone());
                }
            }
        }
        set
    }
}

/// Gives each variable that the file names, or that custom names for it, to one host: first to the host that it is
/// usually for, then to those that the file names it for, then to those that have it by custom; in the file's order.
pub(super) fn claim(deployments: &[Deployment<'_>], variables: &mut Variables) {
    for rank in 0..=2 {
        for deployment in deployments.iter().filter(|deployment| deployment.rank() == rank) {
            if let Some(variable) = deployment.wanted() {
                variables.claim(variable, &deployment.host.origin);
            }
        }
    }
}

/// The origin of the host whose key a variable usually holds.
fn home(variable: &str) -> Option<String> {
    let (_, _, url, _) = KNOWN.iter().find(|(.., usual)| *usual == variable && !usual.is_empty())?;
    Host::of(url).map(|host| host.origin)
}

/// Where an entry's model is, and whether the file says so.
fn host(
    path: &str,
    prefix: &str,
    known: &Known,
    params: &Value,
    defaults: &Defaults<'_>,
    unnamed: &mut Unnamed,
    notes: &mut Notes,
) -> Option<(Host, bool)> {
    let at = format!("{path}.litellm_params.api_base");
    let (_, _, usual, _) = *known;
    let by_environment = || {
        let prefix = prefix.to_ascii_uppercase();
        ["API_BASE", "BASE_URL"]
            .into_iter()
            .find_map(|ending| defaults.environment(&format!("{prefix}_{ending}")))
    };
    let written =
        ["api_base", "base_url"].into_iter().map(|name| field(params, name)).find(|base| !base.is_null());
    let written = match written {
        Some(base) => Some(base.as_str().unwrap_or_default()),
        None => by_environment(),
    };
    let url = match written {
        Some(base) => match base.trim().strip_prefix(ENVIRONMENT).map(|_| variable(base)) {
            None => Ok(base),
            Some(named) => {
                let named = named.unwrap_or_default();
                defaults.environment(named).ok_or_else(|| {
                    let url = unnamed.url(base.to_owned());
                    let what = if named.is_empty() { "the variable" } else { named };
                    let message = format!(
                        "a URL cannot come from the environment; write what {what} holds in place of {url}"
                    );
                    (url, message)
                })
            }
        },
        None if usual.is_empty() => {
            let url = unnamed.url(format!("of {prefix}"));
            let message = format!("is missing; write the URL in place of {url}");
            Err((url, message))
        }
        None => Ok(usual),
    };
    let found = url.and_then(|url| {
        Host::of(url).ok_or_else(|| {
            let placeholder = unnamed.url(url.to_owned());
            let message = format!(
                "is no URL that begins with http:// or https://; write one in place of {placeholder}"
            );
            (placeholder, message)
        })
    });
    match found {
        Ok(host) => {
            if host.shortened {
                notes.add(
                    &at,
                    "credentials and queries of a URL stay behind; give them as the provider's `key`",
                );
            }
            Some((host, written.is_some()))
        }
        Err((placeholder, message)) => {
            notes.add(&at, &message);
            // There is nothing on the way to it that could be listened to.
            Host::of(&placeholder).map(|host| (Host { in_clear: false, ..host }, true))
        }
    }
}
