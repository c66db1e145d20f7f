//! The table of prices as YAML: read, checked, and turned into whole numbers.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The highest price that is taken for one, in dollars per million tokens.
const MAX_PRICE: f64 = 1_000_000.0;

/// A dollar in units of a price.
const UNITS: f64 = 1e9;

/// Why prices were refused.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no list of prices.
    #[error("{}: larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What may be read.
        limit: u64,
    },
    /// A field does not fit.
    #[error("{}: {field}: {reason}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field, by its path in the file.
        field: String,
        /// What would be right.
        reason: String,
    },
}

/// A field that does not fit.
#[derive(Debug)]
pub(super) struct Misfit {
    pub field: String,
    pub reason: String,
}

impl Misfit {
    pub(super) fn of(self, path: &Path) -> PricesError {
        PricesError::Field { path: path.to_owned(), field: self.field, reason: self.reason }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTable {
    /// When the prices were true; for people.
    #[serde(default, rename = "date")]
    _date: Option<String>,
    models: BTreeMap<String, WirePrice>,
}

// serde cannot flatten and refuse unknown fields at once, so what both have is written twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePrice {
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    cache_write_1h: Option<f64>,
    output: Option<f64>,
    reasoning: Option<f64>,
    long: Option<WireLong>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLong {
    over: u64,
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    cache_write_1h: Option<f64>,
    output: Option<f64>,
    reasoning: Option<f64>,
}

/// A model's prices, in 10⁻⁹ dollars per million tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub rates: Rates,
    pub long: Option<Long>,
}

/// Prices for requests whose input is over so many tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Long {
    pub over: u64,
    pub rates: Rates,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rates {
    pub input: u64,
    pub cached_input: Option<u64>,
    pub cache_write: Option<u64>,
    pub cache_write_1h: Option<u64>,
    pub output: Option<u64>,
    pub reasoning: Option<u64>,
}

/// The models of a table; an error names the field.
pub(super) fn parse(yaml: &str) -> Result<HashMap<String, Price>, Misfit> {
    let mut path = None;
    let options = serde_saphyr::options! { with_snippet: false };
    let read = serde_saphyr::with_deserializer_from_str_with_options(yaml, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    });
    let table: WireTable = read.map_err(|error| Misfit {
        field: path.unwrap_or_else(|| ".".to_owned()),
        reason: error.to_string(),
    })?;
    let models = table.models.into_iter().map(|(name, price)| {
        let at = format!("models.{name}");
        let long = price.long.map(|long| {
            let at = format!("{at}.long");
            let given =
                [long.cached_input, long.cache_write, long.cache_write_1h, long.output, long.reasoning];
            Ok(Long { over: long.over, rates: rates(&at, long.input, given)? })
        });
        let given =
            [price.cached_input, price.cache_write, price.cache_write_1h, price.output, price.reasoning];
        Ok((name, Price { rates: rates(&at, price.input, given)?, long: long.transpose()? }))
    });
    models.collect()
}

fn rates(at: &str, input: f64, given: [Option<f64>; 5]) -> Result<Rates, Misfit> {
    let [cached_input, cache_write, cache_write_1h, output, reasoning] = given;
    let optional = |name: &str, price: Option<f64>| price.map(|price| units(at, name, price)).transpose();
    Ok(Rates {
        input: units(at, "input", input)?,
        cached_input: optional("cached_input", cached_input)?,
        cache_write: optional("cache_write", cache_write)?,
        cache_write_1h: optional("cache_write_1h", cache_write_1h)?,
        output: optional("output", output)?,
        reasoning: optional("reasoning", reasoning)?,
    })
}

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn units(at: &str, name: &str, price: f64) -> Result<u64, Misfit> {
    // Not a number is in no range.
    if !(0.0..=MAX_PRICE).contains(&price) {
        let reason = format!("must be dollars per million tokens, from 0 to {MAX_PRICE}");
        return Err(Misfit { field: format!("{at}.{name}"), reason });
    }
    Ok((price * UNITS).round() as u64)
}
