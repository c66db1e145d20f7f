//! The table of prices as YAML: read, checked, and turned into whole numbers.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use weir_settings::ConfigError;

use super::kinds::Kind;

/// The highest price that is taken for one, in dollars per million tokens.
const MAX_PRICE: f64 = 1_000_000.0;

/// A dollar in units of a price.
const UNITS: f64 = 1e9;

/// The highest factor that is taken for one.
const MAX_FACTOR: f64 = 1000.0;

/// One in units of a factor.
const FACTOR: f64 = 1e3;

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

/// A model, its long requests or one of its tiers: serde cannot flatten and refuse unknown fields at once, so
/// they are read as one type, and what belongs where is checked behind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePrice {
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    cache_write_1h: Option<f64>,
    output: Option<f64>,
    reasoning: Option<f64>,
    audio_input: Option<f64>,
    image_input: Option<f64>,
    video_input: Option<f64>,
    audio_output: Option<f64>,
    image_output: Option<f64>,
    /// Of long requests alone.
    over: Option<u64>,
    long: Option<Box<WirePrice>>,
    #[serde(default)]
    tiers: BTreeMap<String, WirePrice>,
    #[serde(default)]
    as_text: Vec<Kind>,
    fast: Option<f64>,
    #[serde(default)]
    geo: BTreeMap<String, f64>,
    search: Option<f64>,
}

/// A model's prices, in 10⁻⁹ dollars per million tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub rates: Rates,
    pub long: Option<Long>,
    /// Prices by service tier, which have no tiers of their own.
    pub tiers: BTreeMap<String, Self>,
    /// What is priced as text where it is read.
    pub as_text: Vec<Kind>,
    /// By how many thousandths fast mode multiplies all that.
    pub fast: Option<u64>,
    /// By how many thousandths inference in one place does.
    pub geo: BTreeMap<String, u64>,
    /// A thousand searches of the web, in 10⁻⁹ dollars.
    pub search: Option<u64>,
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
    pub audio_input: Option<u64>,
    pub image_input: Option<u64>,
    pub video_input: Option<u64>,
    pub audio_output: Option<u64>,
    pub image_output: Option<u64>,
}

/// The models of a table; an error names the field.
pub(super) fn parse(yaml: &str) -> Result<HashMap<String, Price>, Misfit> {
    let table: WireTable = weir_settings::yaml::read(yaml).map_err(|error| {
        let ConfigError { path: field, message: reason, .. } = error.with_place_in_message();
        Misfit { field, reason }
    })?;
    let models = table.models.into_iter().map(|(name, wire)| {
        let price = price(&format!("models.{name}"), &wire)?;
        Ok((name, price))
    });
    models.collect()
}

/// A model.
fn price(at: &str, wire: &WirePrice) -> Result<Price, Misfit> {
    let factor = |name: &str, factor: f64| within(at, name, factor, MAX_FACTOR, FACTOR, "a factor");
    let tiers = wire
        .tiers
        .iter()
        .map(|(name, tier)| Ok((name.clone(), self::tier(&format!("{at}.tiers.{name}"), tier)?)));
    let geo = wire.geo.iter().map(|(place, by)| Ok((place.clone(), factor(&format!("geo.{place}"), *by)?)));
    Ok(Price {
        tiers: tiers.collect::<Result<_, _>>()?,
        as_text: wire.as_text.clone(),
        fast: wire.fast.map(|by| factor("fast", by)).transpose()?,
        geo: geo.collect::<Result<_, _>>()?,
        search: wire.search.map(|price| units(at, "search", price)).transpose()?,
        ..bare(at, wire)?
    })
}

/// A tier: prices, and no ways to pay of its own.
fn tier(at: &str, wire: &WirePrice) -> Result<Price, Misfit> {
    refuse_beside_prices(at, wire)?;
    bare(at, wire)
}

/// Prices, with those of long requests.
fn bare(at: &str, wire: &WirePrice) -> Result<Price, Misfit> {
    if wire.over.is_some() {
        return Err(Misfit { field: format!("{at}.over"), reason: "belongs into `long`".to_owned() });
    }
    let long = wire.long.as_deref().map(|wire| long(&format!("{at}.long"), wire)).transpose()?;
    let (tiers, geo) = (BTreeMap::new(), BTreeMap::new());
    Ok(Price { rates: rates(at, wire)?, long, tiers, as_text: Vec::new(), fast: None, geo, search: None })
}

fn long(at: &str, wire: &WirePrice) -> Result<Long, Misfit> {
    refuse_beside_prices(at, wire)?;
    if wire.long.is_some() {
        return Err(Misfit { field: format!("{at}.long"), reason: "stands once".to_owned() });
    }
    let missing = || Misfit { field: format!("{at}.over"), reason: "is missing: tokens of input".to_owned() };
    Ok(Long { over: wire.over.ok_or_else(missing)?, rates: rates(at, wire)? })
}

/// Refuses what only a model as a whole has.
fn refuse_beside_prices(at: &str, wire: &WirePrice) -> Result<(), Misfit> {
    let given = [
        ("tiers", !wire.tiers.is_empty()),
        ("as_text", !wire.as_text.is_empty()),
        ("fast", wire.fast.is_some()),
        ("geo", !wire.geo.is_empty()),
        ("search", wire.search.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Misfit {
            field: format!("{at}.{name}"),
            reason: "belongs to the model as a whole".to_owned(),
        }),
        None => Ok(()),
    }
}

fn rates(at: &str, wire: &WirePrice) -> Result<Rates, Misfit> {
    let optional = |name: &str, price: Option<f64>| price.map(|price| units(at, name, price)).transpose();
    Ok(Rates {
        input: units(at, "input", wire.input)?,
        cached_input: optional("cached_input", wire.cached_input)?,
        cache_write: optional("cache_write", wire.cache_write)?,
        cache_write_1h: optional("cache_write_1h", wire.cache_write_1h)?,
        output: optional("output", wire.output)?,
        reasoning: optional("reasoning", wire.reasoning)?,
        audio_input: optional("audio_input", wire.audio_input)?,
        image_input: optional("image_input", wire.image_input)?,
        video_input: optional("video_input", wire.video_input)?,
        audio_output: optional("audio_output", wire.audio_output)?,
        image_output: optional("image_output", wire.image_output)?,
    })
}

fn units(at: &str, name: &str, price: f64) -> Result<u64, Misfit> {
    within(at, name, price, MAX_PRICE, UNITS, "dollars per million tokens")
}

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn within(at: &str, name: &str, given: f64, max: f64, units: f64, what: &str) -> Result<u64, Misfit> {
    // Not a number is in no range.
    if !(0.0..=max).contains(&given) {
        return Err(Misfit {
            field: format!("{at}.{name}"),
            reason: format!("must be {what}, from 0 to {max}"),
        });
    }
    Ok((given * units).round() as u64)
}
