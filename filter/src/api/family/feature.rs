//! Features beyond the table of calls, which a provider and a key can both grant.

use serde::{Deserialize, Serialize};

/// What reaches beyond one request and its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// What the provider keeps: `previous_response_id`, `conversation` and every other member of a body that
    /// names it (items, prompts, caches, containers, vector stores), and what there is under
    /// `/v1/responses/{id}`. Whoever is granted it can read the responses of all.
    Stored,
    /// `/v1/files` and `/v1/uploads`, with all that is under them, and members of a body that name a file
    /// there (`file_id`).
    Files,
    /// `/v1/batches` and `/v1/messages/batches`, with all that is under them. Their requests name
    /// models of their own, which nobody checks.
    Batches,
    /// Every other path, whatever it does.
    Paths,
}

impl Feature {
    /// Its name, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::Paths => "paths",
        }
    }

    /// Whether its requests can be for any model of the provider.
    pub fn is_for_any_model(self) -> bool {
        self != Self::Stored
    }

    /// The `http.route` of its requests.
    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::Stored => "/v1/responses/*",
            Self::Files => "/v1/files/*",
            Self::Batches => "/v1/batches/*",
            Self::Paths => "/*",
        }
    }

    /// The feature that a request belongs to, which is none of the calls that are served.
    pub(crate) fn of(method: &[u8], path: &str) -> Self {
        let rest = ["/v1/", "/openai/v1/", "/openai/"].iter().find_map(|start| path.strip_prefix(start));
        let segments: Vec<&str> = rest.unwrap_or_default().split('/').collect();
        match (method, segments.as_slice()) {
            (_, ["files" | "uploads", ..]) => Self::Files,
            (_, ["batches", ..] | ["messages", "batches", ..]) => Self::Batches,
            (b"GET" | b"DELETE", ["responses", _])
            | (b"POST", ["responses", _, "cancel"])
            | (b"GET", ["responses", _, "input_items"]) => Self::Stored,
            _ => Self::Paths,
        }
    }
}

/// Some of the features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u8);

impl Features {
    /// All of them.
    pub fn every() -> Self {
        [Feature::Stored, Feature::Files, Feature::Batches, Feature::Paths].into_iter().collect()
    }

    /// Whether a feature is among them.
    pub fn has(self, feature: Feature) -> bool {
        self.0 & bit(feature) != 0
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        Self(features.into_iter().fold(0, |bits, feature| bits | bit(feature)))
    }
}

fn bit(feature: Feature) -> u8 {
    match feature {
        Feature::Stored => 1,
        Feature::Files => 2,
        Feature::Batches => 4,
        Feature::Paths => 8,
    }
}
