//! Tokens, as each provider counts them, brought to the same terms: totals that include what was
//! cached and what was reasoned.
//!
//! Usage is read when it comes, and only its numbers and a few words are held, so that its length does not matter.

pub mod beside;
pub mod figures;
pub mod names;
pub mod price;
pub mod terms;

use weir_event::v1;

use crate::api::family::reading::usage::beside::Beside;
use crate::api::family::reading::usage::figures::Figures;
use crate::api::family::reading::usage::price::Price;
use crate::api::family::reading::usage::terms::Terms;
use crate::json::scan::{Object, Value};

/// Members of a response, of an event or of a choice that are its usage.
const USAGE: [&str; 3] = ["usage", "usageMetadata", "usage_metadata"];
/// Members that count where nothing else does: what Bedrock measures, and llama.cpp.
const INSTEAD: [&str; 2] = ["amazon-bedrock-invocationMetrics", "timings"];
/// Groq's own member, which holds the usage of a stream.
const GROQ: &str = "x_groq";

/// The usage that was reported so far.
#[derive(Debug, Default)]
pub struct Reported {
    figures: Figures,
    instead: Figures,
    beside: Beside,
    price: Price,
}

impl Reported {
    /// Reads what a response, an event, or a part of one says of usage and of its price.
    pub fn read_members(&mut self, object: &Object<'_>) {
        self.price.read_response(object);
        for (name, value) in object.iter() {
            if USAGE.contains(&name) {
                self.read_usage(name, &value);
            } else if INSTEAD.contains(&name) {
                self.instead.merge(Figures::of(&value.as_object().unwrap_or_default()));
            } else if name == GROQ
                && let Some(usage) = value.as_object().and_then(|own| own.get("usage"))
            {
                self.read_usage("x_groq.usage", &usage);
            }
        }
    }

    /// Reads a usage that stands at this path in the response. Later figures stand for earlier ones of the same
    /// name.
    pub fn read_usage(&mut self, path: &str, usage: &Value<'_>) {
        if let Some(usage) = usage.as_object() {
            self.read_object(path, &usage);
        }
    }

    /// The same of a usage that was parsed.
    pub fn read_object(&mut self, path: &str, usage: &Object<'_>) {
        self.price.read(path, usage);
        self.figures.merge(Figures::of(usage));
        if let Some(beside) = Beside::of(usage) {
            self.beside = beside;
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.figures.held() + self.instead.held() + self.price.held()
    }

    /// The usage in our terms, without what it says of the price; `None` where no figure was reported. `generates` says
    /// whether the response is a text that a model writes.
    pub(crate) fn read(&self, own: Terms, generates: bool) -> Option<v1::Usage> {
        let figures = if self.figures.is_empty() { &self.instead } else { &self.figures };
        if figures.is_empty() {
            return None;
        }
        let mut read = terms::read(own, figures, &self.beside, generates);
        read.source = v1::UsageSource::Provider.into();
        (read.figures, read.figures_left_out) = figures.of_event();
        read.figures_left_out = read.figures_left_out.saturating_add(self.beside.is_cut.into());
        Some(read)
    }

    /// Adds the price terms to a usage.
    pub fn price_into(&self, usage: &mut v1::Usage) {
        self.price.put_into(usage);
    }
}
