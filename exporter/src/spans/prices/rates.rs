//! What tokens cost by the prices of a model. Whole numbers alone.

use std::ops::AddAssign;

use weir_event::v1::{ModelUsage, Usage};

use super::{
    kinds::{Counts, Kind, Kinds},
    marks::Billing,
    table::{Price, Rates},
};

/// Anthropic's figure for what its cache keeps for an hour; its plain figure holds both.
const WRITTEN_FOR_AN_HOUR: &str = "cache_creation.ephemeral_1h_input_tokens";

/// One, in the unit of a factor.
const ONE: u64 = 1000;

/// A call's price is in 10⁻⁹ dollars for a thousand of them: so many 10⁻¹⁵ dollars is it for one.
const CALL: u64 = 1000;

/// Costs in 10⁻¹⁵ dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub input: u128,
    pub cache_read: u128,
    pub cache_write: u128,
    pub output: u128,
    pub reasoning: u128,
    /// What was charged by the call.
    pub calls: u128,
}

impl Parts {
    pub(super) fn total(&self) -> u128 {
        self.input.saturating_add(self.output).saturating_add(self.calls)
    }

    /// Each part of the tokens times so many thousandths.
    fn times(self, factor: u64) -> Self {
        let times = |part: u128| part.saturating_mul(factor.into()) / u128::from(ONE);
        Self {
            input: times(self.input),
            cache_read: times(self.cache_read),
            cache_write: times(self.cache_write),
            output: times(self.output),
            reasoning: times(self.reasoning),
            calls: self.calls,
        }
    }
}

impl AddAssign for Parts {
    fn add_assign(&mut self, other: Self) {
        let add = |sum: &mut u128, part: u128| *sum = sum.saturating_add(part);
        add(&mut self.input, other.input);
        add(&mut self.cache_read, other.cache_read);
        add(&mut self.cache_write, other.cache_write);
        add(&mut self.output, other.output);
        add(&mut self.reasoning, other.reasoning);
        add(&mut self.calls, other.calls);
    }
}

/// The tokens of one model. Totals include what was cached and what was reasoned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    input: u64,
    output: Option<u64>,
    cache_read: u64,
    cache_write: u64,
    /// Those of `cache_write` with a lifetime of an hour.
    hour: u64,
    reasoning: u64,
}

impl Tokens {
    /// All of a response; `None` where the input is not known.
    pub(super) fn of(usage: &Usage) -> Option<Self> {
        Some(Self {
            input: usage.input_tokens?,
            output: usage.output_tokens,
            cache_read: usage.cache_read_tokens.unwrap_or(0),
            cache_write: usage.cache_write_tokens.unwrap_or(0),
            hour: usage.figures.get(WRITTEN_FOR_AN_HOUR).copied().unwrap_or(0),
            reasoning: usage.reasoning_tokens.unwrap_or(0),
        })
    }

    /// Those that another model used within it.
    pub(super) fn of_other(usage: &ModelUsage) -> Self {
        Self {
            input: usage.input_tokens.unwrap_or(0),
            output: Some(usage.output_tokens.unwrap_or(0)),
            cache_read: usage.cache_read_tokens.unwrap_or(0),
            cache_write: usage.cache_write_tokens.unwrap_or(0),
            ..Self::default()
        }
    }

    pub(super) fn is_none(&self) -> bool {
        self.input == 0 && self.output.unwrap_or(0) == 0
    }

    /// The rest without those of another model; `None` where they cannot be a part of these.
    pub(super) fn without(self, other: &Self) -> Option<Self> {
        let output = match (self.output, other.output.unwrap_or(0)) {
            (None, 0) => None,
            (all, part) => Some(all?.checked_sub(part)?),
        };
        Some(Self {
            input: self.input.checked_sub(other.input)?,
            output,
            cache_read: self.cache_read.saturating_sub(other.cache_read),
            cache_write: self.cache_write.saturating_sub(other.cache_write),
            ..self
        })
    }
}

impl Price {
    /// What these tokens cost, billed so; `None` where one of the prices is not known.
    pub(super) fn of(&self, tokens: &Tokens, kinds: &Kinds, billing: &Billing) -> Option<Parts> {
        let price = match &billing.tier {
            Some(tier) => self.tiers.get(tier)?,
            None => self,
        };
        let rates = match &price.long {
            Some(long) if tokens.input > long.over => &long.rates,
            // A tier that says nothing of long requests does not take them.
            None if self.long.as_ref().is_some_and(|long| tokens.input > long.over) => return None,
            _ => &price.rates,
        };
        let mut parts = rates.of(tokens, kinds, &self.as_text)?.times(self.factor(billing)?);
        if kinds.searches > 0 {
            parts.calls = u128::from(kinds.searches).saturating_mul(self.search?.into());
            parts.calls = parts.calls.saturating_mul(CALL.into());
        }
        Some(parts)
    }

    /// By how many thousandths the listed price is multiplied.
    fn factor(&self, billing: &Billing) -> Option<u64> {
        let fast = if billing.fast { self.fast? } else { ONE };
        let geo = match &billing.geo {
            Some(geo) => *self.geo.get(geo)?,
            None => ONE,
        };
        Some(fast.saturating_mul(geo) / ONE)
    }
}

impl Rates {
    fn of(&self, tokens: &Tokens, kinds: &Kinds, as_text: &[Kind]) -> Option<Parts> {
        // An embedding writes nothing; of anything else what it wrote must be known.
        let written = if self.output.is_none() { tokens.output.unwrap_or(0) } else { tokens.output? };
        let output = if written == 0 { 0 } else { self.output? };

        let cached = tokens.cache_read.min(tokens.input);
        let kept = tokens.cache_write.min(tokens.input - cached);
        let mut plain = tokens.input - cached - kept;
        let cache_read = cost(cached, self.cached_input.unwrap_or(self.input));
        let cache_write = self.written(kept, tokens.hour.min(kept))?;

        let apart = |kind: &Kind| !as_text.contains(kind);
        if cached > 0 && kinds.input.keys().any(apart) {
            // The cache has prices of its own for other kinds: only where it had text alone is all known.
            kinds.cached.as_ref().filter(|cached| !cached.keys().any(apart))?;
        }
        let mut input = cache_read.saturating_add(cache_write);
        for (count, price) in apart_of(&kinds.input, as_text, |kind| self.input_of(kind))? {
            let count = count.min(plain);
            plain -= count;
            input = input.saturating_add(cost(count, price));
        }

        let reasoned = tokens.reasoning.min(written);
        let reasoning = cost(reasoned, self.reasoning.unwrap_or(output));
        let (mut said, mut out) = (written - reasoned, reasoning);
        for (count, price) in apart_of(&kinds.output, &[], |kind| self.output_of(kind))? {
            let count = count.min(said);
            said -= count;
            out = out.saturating_add(cost(count, price));
        }
        Some(Parts {
            input: input.saturating_add(cost(plain, self.input)),
            cache_read,
            cache_write,
            output: out.saturating_add(cost(said, output)),
            reasoning,
            calls: 0,
        })
    }

    /// What the cache took, `hour` of it for an hour.
    fn written(&self, kept: u64, hour: u64) -> Option<u128> {
        let short = cost(kept - hour, self.cache_write.unwrap_or(self.input));
        let long = if hour > 0 { cost(hour, self.cache_write_1h?) } else { 0 };
        Some(short.saturating_add(long))
    }

    fn input_of(&self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::Audio => self.audio_input,
            Kind::Image => self.image_input,
            Kind::Video => self.video_input,
        }
    }

    fn output_of(&self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::Audio => self.audio_output,
            Kind::Image => self.image_output,
            Kind::Video => None,
        }
    }
}

/// The tokens of kinds that are not priced as text, with their prices; `None` where one has none.
fn apart_of(
    counts: &Counts,
    as_text: &[Kind],
    price: impl Fn(Kind) -> Option<u64>,
) -> Option<Vec<(u64, u64)>> {
    let apart = counts.iter().filter(|(kind, _)| !as_text.contains(kind));
    apart.map(|(kind, count)| Some((*count, price(*kind)?))).collect()
}

/// So many tokens at a price in 10⁻⁹ dollars per million, in 10⁻¹⁵ dollars.
fn cost(tokens: u64, price: u64) -> u128 {
    u128::from(tokens).saturating_mul(u128::from(price))
}
