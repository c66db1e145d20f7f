//! What a response cost: by the provider's own word, else by a table of prices by model.
//!
//! A cost is given only where it is known. The table gives none for a model that it does not have, where figures
//! are missing, and where the response is billed at a price that the table does not list: a service tier
//! ([`marks`]), a kind of tokens or a call that is charged apart ([`kinds`]). Money is counted in whole numbers
//! (10⁻¹⁵ dollars), so sums are exact whatever the order.

#[cfg(test)]
mod billing_tests;
mod kinds;
mod marks;
mod model;
mod rates;
mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use weir_event::v1::{Response, TraceEvent};

use kinds::Kinds;
use marks::Billing;
use rates::{Parts, Tokens};
use table::Price;
pub use table::PricesError;

/// The table that comes with the exporter.
const BUILT_IN: &str = include_str!("../../../prices.yaml");

/// The largest file of prices that is read.
const MAX_FILE: u64 = 1 << 20;

/// What one dollar is in units of [`Parts`].
const UNITS: f64 = 1e15;

static DEFAULT: LazyLock<Arc<Prices>> = LazyLock::new(|| {
    // A test reads the table that is compiled in; were it broken all the same, nothing would have a cost.
    Arc::new(Prices { models: table::parse(BUILT_IN).unwrap_or_default() })
});

/// Prices by model.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Prices {
    models: HashMap<String, Price>,
}

/// What a response cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cost {
    /// The provider said so, in US dollars. What it is made of is not known.
    Provider(f64),
    /// By the table.
    Table(TableCost),
}

/// What a response cost by the table of prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCost(Parts);

impl Cost {
    /// Dollars for everything, calls that are charged apart included.
    pub fn total(&self) -> f64 {
        match self {
            Self::Provider(total) => *total,
            Self::Table(TableCost(parts)) => dollars(parts.total()),
        }
    }

    /// Who says so: `provider` or `table`.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Provider(_) => "provider",
            Self::Table(_) => "table",
        }
    }

    /// Dollars for what was read, the cache's part included.
    pub fn input(&self) -> Option<f64> {
        self.part(|parts| parts.input)
    }

    /// Dollars for what the provider's cache had.
    pub fn cache_read(&self) -> Option<f64> {
        self.part(|parts| parts.cache_read)
    }

    /// Dollars for what the provider's cache took.
    pub fn cache_write(&self) -> Option<f64> {
        self.part(|parts| parts.cache_write)
    }

    /// Dollars for what was written, reasoning included.
    pub fn output(&self) -> Option<f64> {
        self.part(|parts| parts.output)
    }

    /// Dollars for what was reasoned.
    pub fn reasoning(&self) -> Option<f64> {
        self.part(|parts| parts.reasoning)
    }

    fn part(&self, of: impl Fn(&Parts) -> u128) -> Option<f64> {
        match self {
            Self::Provider(_) => None,
            Self::Table(TableCost(parts)) => Some(dollars(of(parts))),
        }
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

    /// Whether the table has this very name.
    pub fn has(&self, name: &str) -> bool {
        self.models.contains_key(name)
    }

    /// A model's name, and the same without its date.
    pub fn forms(name: &str) -> impl Iterator<Item = &str> {
        std::iter::once(name).chain(model::undated(name))
    }

    /// What a request cost; `None` where that is not known, and where its last attempt failed.
    pub fn of(&self, event: &TraceEvent) -> Option<Cost> {
        let (last, response) = (event.attempts.last()?, event.response.as_ref()?);
        (200..300).contains(&last.status).then(|| self.cost(&last.model, response)).flatten()
    }

    /// What a response cost; `None` where that is not known. `asked` is the model's name as it was sent, for
    /// providers that do not say which model responded.
    pub fn cost(&self, asked: &str, response: &Response) -> Option<Cost> {
        let usage = response.usage.as_ref()?;
        if let Some(total) = usage.cost_usd.filter(|total| total.is_finite() && *total >= 0.0) {
            return Some(Cost::Provider(total));
        }
        let (billing, kinds) = (Billing::of(response)?, Kinds::of(&usage.figures)?);
        let (mut own, mut parts) = (Tokens::of(usage)?, Parts::default());
        for other in &usage.others {
            let tokens = Tokens::of_other(other);
            if tokens.is_none() {
                continue;
            }
            // The tier or speed of another model is not reported.
            let price = self.find(&other.model).filter(|_| billing.is_standard())?;
            own = own.without(&tokens)?;
            parts += price.of(&tokens, &Kinds::default(), &billing)?;
        }
        let answered = if response.model.is_empty() { asked } else { &response.model };
        parts += self.find(answered)?.of(&own, &kinds, &billing)?;
        Some(Cost::Table(TableCost(parts)))
    }

    /// The price of a model by its name, or by the name that its dated, prefixed or otherwise dressed form
    /// stands for.
    fn find(&self, name: &str) -> Option<&Price> {
        model::candidates(name).into_iter().find_map(|candidate| self.models.get(candidate.as_ref()))
    }
}
