//! What the holder of a key may do.

use std::collections::BTreeMap;

use crate::api::Features;
use crate::auth::pattern::Patterns;

/// What the holder of a key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The key's name.
    pub name: String,
    /// The models that it may use.
    pub models: Patterns,
    /// What it may use beyond calls for them.
    pub features: Features,
    /// Metadata of its requests.
    pub metadata: BTreeMap<String, String>,
}

impl Grant {
    /// What everybody may do where there are no keys: use every model, and all that a provider grants,
    /// without a name.
    pub fn open() -> Self {
        let (models, features) = (Patterns::every(), Features::every());
        Self { name: String::new(), models, features, metadata: BTreeMap::new() }
    }
}
