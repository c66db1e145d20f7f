//! What tokens cost: a table of prices by model, and the cost of one answer by it.
//!
//! A cost is told only where it is known: a model that the table has not, figures that are missing, a service
//! tier or a kind of token that is priced apart, all have none. Money is counted in whole numbers (10⁻¹⁵
//! dollars), so sums are exact whatever the order.

mod model;
mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use weir_event::v1::{Response, Usage};

pub use table::PricesError;
use table::{Price, Rates};

/// The table that comes with the exporter.
const BUILT_IN: &str = include_str!("../../prices.yaml");

/// The largest file of prices that is read.
const MAX_FILE: u64 = 1 << 20;

/// Service tiers at which the table's prices hold; others are priced apart.
const STANDARD_TIERS: [&str; 5] = ["", "auto", "default", "standard", "on_demand"];

/// What one dollar is in units of a [`Cost`].
const UNITS: f64 = 1e15;

/// Anthropic's figure for what its cache keeps for an hour; its plain figure holds both.
const WRITTEN_FOR_AN_HOUR: &str = "cache_creation.ephemeral_1h_input_tokens";

/// What the name of a figure ends with that counts tokens of sound, which are priced apart.
const AUDIO: &str = "audio_tokens";

static DEFAULT: LazyLock<Arc<Prices>> = LazyLock::new(|| {
    // A test reads the table that is compiled in; were it broken all the same, nothing would have a cost.
    Arc::new(Prices { models: table::parse(BUILT_IN).unwrap_or_default() })
});

/// Prices by model.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Prices {
    models: HashMap<String, Price>,
}

/// What an answer cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    input: u128,
    cache_read: u128,
    cache_write: u128,
    output: u128,
    reasoning: u128,
}

impl Cost {
    /// Dollars for everything.
    pub fn total(&self) -> f64 {
        dollars(self.input.saturating_add(self.output))
    }

    /// Dollars for what was read, the cache's part included.
    pub fn input(&self) -> f64 {
        dollars(self.input)
    }

    /// Dollars for what the provider's cache had.
    pub fn cache_read(&self) -> f64 {
        dollars(self.cache_read)
    }

    /// Dollars for what the provider's cache took.
    pub fn cache_write(&self) -> f64 {
        dollars(self.cache_write)
    }

    /// Dollars for what was written, reasoning included.
    pub fn output(&self) -> f64 {
        dollars(self.output)
    }

    /// Dollars for what was reasoned.
    pub fn reasoning(&self) -> f64 {
        dollars(self.reasoning)
    }
}

#[allow(clippy::as_conversions)] // There is no other way from u128 to f64, and 53 bits of a sum are enough.
fn dollars(units: u128) -> f64 {
    units as f64 / UNITS
}

impl Prices {
    /// The table that comes with the exporter.
    pub fn built_in() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }

    /// The built-in table with the entries of a file over it.
    ///
    /// # Errors
    ///
    /// [`PricesError`], naming the file and the field.
    pub fn load(path: &Path) -> Result<Arc<Self>, PricesError> {
        let unreadable = |source| PricesError::File { path: PathBuf::from(path), source };
        let mut yaml = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_FILE + 1).read_to_string(&mut yaml).map_err(unreadable)?;
        if u64::try_from(yaml.len()).unwrap_or(u64::MAX) > MAX_FILE {
            return Err(PricesError::TooLarge { path: PathBuf::from(path), limit: MAX_FILE });
        }
        let own = table::parse(&yaml).map_err(|error| error.of(path))?;
        let mut models = DEFAULT.models.clone();
        models.extend(own);
        Ok(Arc::new(Self { models }))
    }

    /// What an answer cost; `None` where that is not known. `asked` is the model's name as it was sent, for
    /// providers that do not say which model answered.
    pub fn cost(&self, asked: &str, response: &Response) -> Option<Cost> {
        let answered = if response.model.is_empty() { asked } else { &response.model };
        let usage = response.usage.as_ref()?;
        let standard = STANDARD_TIERS.iter().any(|tier| response.service_tier.eq_ignore_ascii_case(tier));
        let audio = usage.figures.iter().any(|(name, count)| name.ends_with(AUDIO) && *count > 0);
        if !standard || audio {
            return None;
        }
        self.find(answered)?.of(usage)
    }

    /// The price of a model by its name, or by the name that its dated, prefixed or otherwise dressed form
    /// stands for.
    fn find(&self, name: &str) -> Option<&Price> {
        model::candidates(name).into_iter().find_map(|candidate| self.models.get(candidate.as_ref()))
    }
}

impl Price {
    fn of(&self, usage: &Usage) -> Option<Cost> {
        let read = usage.input_tokens?;
        let rates = match &self.long {
            Some(long) if read > long.over => &long.rates,
            _ => &self.rates,
        };
        rates.of(read, usage)
    }
}

impl Rates {
    fn of(&self, read: u64, usage: &Usage) -> Option<Cost> {
        // An embedding writes nothing; of anything else what it wrote must be known.
        let written =
            if self.output.is_none() { usage.output_tokens.unwrap_or(0) } else { usage.output_tokens? };
        let output = if written == 0 { 0 } else { self.output? };

        let cached = usage.cache_read_tokens.unwrap_or(0).min(read);
        let kept = usage.cache_write_tokens.unwrap_or(0).min(read - cached);
        let kept_long = usage.figures.get(WRITTEN_FOR_AN_HOUR).copied().unwrap_or(0).min(kept);
        let plain = read - cached - kept;
        let cache_read = of(cached, self.cached_input.unwrap_or(self.input));
        let write = self.cache_write.unwrap_or(self.input);
        let long_write = self.cache_write_1h.unwrap_or(write);
        let cache_write = of(kept - kept_long, write).saturating_add(of(kept_long, long_write));

        let reasoned = usage.reasoning_tokens.unwrap_or(0).min(written);
        let reasoning = of(reasoned, self.reasoning.unwrap_or(output));
        Some(Cost {
            input: of(plain, self.input).saturating_add(cache_read).saturating_add(cache_write),
            cache_read,
            cache_write,
            output: of(written - reasoned, output).saturating_add(reasoning),
            reasoning,
        })
    }
}

/// So many tokens at a price in 10⁻⁹ dollars per million, in 10⁻¹⁵ dollars.
fn of(tokens: u64, price: u64) -> u128 {
    u128::from(tokens).saturating_mul(u128::from(price))
}
