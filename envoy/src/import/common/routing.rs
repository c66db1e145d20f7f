//! What both sources of models need: providers by what they are known as, and a gateway around them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{keys::Variables, notes::Notes};

/// A kind of provider by the name that others give it: name, our API, its usual URL, and the variable
/// that usually holds its key. Without a URL one must be given.
pub(in crate::import) type Known = (&'static str, &'static str, &'static str, &'static str);

pub(in crate::import) const KNOWN: &[Known] = &[
    ("azure", "azure-openai", "", "AZURE_API_KEY"),
    ("openai", "openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    ("anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    ("cohere", "cohere", "https://api.cohere.com", "COHERE_API_KEY"),
    // By its OpenAI-compatible API, which callers of other gateways speak.
    ("gemini", "openai", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    ("groq", "openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    ("mistral", "openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    ("deepseek", "openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    ("together", "openai", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    ("fireworks", "openai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    ("openrouter", "openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    ("perplexity", "openai", "https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
    ("xai", "openai", "https://api.x.ai/v1", "XAI_API_KEY"),
    ("vllm", "openai", "", ""),
    ("ollama", "openai", "", ""),
    ("openai_like", "openai", "", ""),
    ("litellm_proxy", "openai", "", ""),
];

/// How the names of models begin whose provider is known without a prefix.
const BARE: [(&str, &str); 3] = [("claude", "anthropic"), ("command", "cohere"), ("gemini", "vertex_ai")];

/// The prefix of the provider of a model that is named without one.
pub(in crate::import) fn prefix_of(model: &str) -> &'static str {
    BARE.into_iter().find(|(start, _)| model.starts_with(start)).map_or("openai", |(_, prefix)| prefix)
}

/// The kind of provider that a name speaks of: the same name, else the first that is part of it.
pub(in crate::import) fn known(name: &str) -> Option<&'static Known> {
    let exact = KNOWN.iter().find(|(known, ..)| *known == name);
    exact.or_else(|| KNOWN.iter().find(|(known, ..)| name.to_ascii_lowercase().contains(known)))
}

/// The gateway that is being made.
#[derive(Default)]
pub(in crate::import) struct Draft {
    /// The providers by name.
    pub(in crate::import) providers: BTreeMap<String, Value>,
    /// The models by name.
    pub(in crate::import) models: Map<String, Value>,
    /// The variables that hold the providers' keys.
    pub(in crate::import) variables: Variables,
}

impl Draft {
    /// The name of this provider: one that is the same, or a new one by the first free name.
    pub(in crate::import) fn provider(&mut self, name: &str, provider: Value) -> String {
        let name = self.first(name, |there| *there == provider);
        self.providers.entry(name.clone()).or_insert(provider);
        name
    }

    /// The name that a provider will have which is like none that is there.
    pub(in crate::import) fn next_name(&self, name: &str) -> String {
        self.first(name, |_| false)
    }

    /// The first name like this that is free, or whose provider is the same.
    fn first(&self, name: &str, is_same: impl Fn(&Value) -> bool) -> String {
        let allowed =
            |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
        let name: String = name.chars().map(allowed).take(48).collect();
        let mut number = 1_usize;
        loop {
            let candidate = if number == 1 { name.clone() } else { format!("{name}-{number}") };
            if self.providers.get(&candidate).is_none_or(&is_same) {
                return candidate;
            }
            number = number.saturating_add(1);
        }
    }

    /// The whole gateway.yaml.
    pub(in crate::import) fn finish(self, notes: &mut Notes) -> Value {
        notes.add(
            "keys",
            "the keys of callers are not carried over, and without any the gateway is open to whoever reaches it. Make \
             one for each caller: weir-config key new --name NAME",
        );
        if self
            .providers
            .values()
            .any(|provider| !matches!(provider["api"].as_str(), Some("openai" | "azure-openai")))
        {
            notes.add(
                "providers",
                "nothing is translated from one API to another: models of anthropic and cohere are called by their own \
                 APIs (/v1/messages, /v2/chat)",
            );
        }
        json!({
            "listen": "127.0.0.1:8080",
            "admin": "127.0.0.1:9901",
            "providers": self.providers,
            "models": self.models,
            "exporter": {"url": "http://127.0.0.1:4319"},
        })
    }
}
