//! Where a reference can stand in the body of each API. Lists are left out: an element stands where its list does.

use crate::api::family::feature::Feature;

/// The name of the one place that any key has.
pub(crate) const ANY: &str = "*";

/// A member of an object, what it refers to, and what can stand within it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) key: &'static str,
    /// What its value refers to, where that is no object or list that is descended.
    pub(crate) reference: Option<Reference>,
    /// What an object there refers to that has nothing but its id.
    pub(crate) by_id: Option<Reference>,
    pub(crate) children: &'static [Place],
}

/// What a member refers to.
#[derive(Debug)]
pub(crate) struct Reference {
    /// The member's name in a refusal.
    pub(crate) member: &'static str,
    /// The grant that it needs.
    pub(crate) feature: Feature,
    pub(crate) when: When,
}

/// Which values of a member refer to something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// Any but null and an empty list.
    Given,
    /// A text.
    Text,
    /// This text.
    Is(&'static str),
    /// A text that is no URL of what anybody can fetch.
    NotPublic,
    /// The URL of something that not everybody can fetch.
    OtherScheme,
}

/// Those of every API: they were OpenAI's first, and compatible servers take them elsewhere too.
pub(crate) const COMMON: &[Place] = &[stored("previous_response_id"), stored("conversation")];

const URL: &[Place] = &[url("url")];

/// What refers to nothing itself.
pub(crate) const fn at(key: &'static str, children: &'static [Place]) -> Place {
    Place { key, reference: None, by_id: None, children }
}

pub(crate) const fn leaf(key: &'static str, member: &'static str, feature: Feature, when: When) -> Place {
    Place { key, reference: Some(Reference { member, feature, when }), by_id: None, children: &[] }
}

pub(crate) const fn stored(key: &'static str) -> Place {
    named(key, key)
}

/// What is stored, by another name than its key where that alone says too little.
pub(crate) const fn named(key: &'static str, member: &'static str) -> Place {
    leaf(key, member, Feature::Stored, When::Given)
}

pub(crate) const fn files(key: &'static str) -> Place {
    leaf(key, key, Feature::Files, When::Given)
}

pub(crate) const fn url(key: &'static str) -> Place {
    leaf(key, key, Feature::Files, When::OtherScheme)
}

/// A URL, or an object that has it.
pub(crate) const fn url_or_object(key: &'static str) -> Place {
    Place { children: URL, ..url(key) }
}
