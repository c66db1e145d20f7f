//! Figures of the last hour, minute by minute, by provider and model. Bounded: so many minutes, so many series.
//!
//! Percentiles come from histograms of one significant digit: within four percent, of at most 432 counters each.

use std::collections::{HashMap, VecDeque};

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::row::Row;

/// How many minutes are held.
pub(in crate::page) const MINUTES: usize = 60;

/// Series of one minute at most; the rest are counted as one.
const MAX_SERIES: usize = 40;

/// Series that a response lists one by one.
const LISTED: usize = 12;

/// The name of the rest.
const OTHERS: &str = "others";

/// The unit of times, in milliseconds.
const UNIT: f64 = 0.1;

/// The longest time that is distinguished from longer ones, in units: a day.
const LONGEST: f64 = 864e6;

/// Times to one significant digit; nothing is allocated before the first.
#[derive(Clone, Debug, Default)]
struct Times(Option<Histogram<u32>>);

impl Times {
    fn add(&mut self, ms: f64) {
        // A tenth of a millisecond to a day; 0 where it is no number.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let time = (ms / UNIT).clamp(1.0, LONGEST) as u64;
        if self.0.is_none() {
            self.0 = Histogram::new(1).ok();
        }
        if let Some(times) = &mut self.0 {
            let _ = times.record(time);
        }
    }

    fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (_, None) => {}
            (None, Some(_)) => self.0.clone_from(&other.0),
            (Some(times), Some(others)) => {
                let _ = times.add(others);
            }
        }
    }

    /// The time that this part of all are within.
    fn quantile(&self, part: f64) -> Option<f64> {
        let times = self.0.as_ref()?;
        Some(times.median_equivalent(times.value_at_quantile(part)) as f64 * UNIT)
    }

    fn percentiles(&self) -> Percentiles {
        Percentiles { p50: self.quantile(0.5), p95: self.quantile(0.95), p99: self.quantile(0.99) }
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.percentiles().serialize(to)
    }
}

/// Milliseconds within which 50, 95 and 99 of a hundred are.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(in crate::page) struct Percentiles {
    #[schema(required)]
    pub(in crate::page) p50: Option<f64>,
    #[schema(required)]
    pub(in crate::page) p95: Option<f64>,
    #[schema(required)]
    pub(in crate::page) p99: Option<f64>,
}

/// Sums over the hour.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Sums)]
pub(in crate::page) struct Figures {
    pub(in crate::page) requests: u64,
    errors: u64,
    input: u64,
    output: u64,
    cost: f64,
    #[schema(value_type = Percentiles)]
    latency: Times,
    #[schema(value_type = Percentiles)]
    first_token: Times,
}

impl Figures {
    fn add(&mut self, row: &Row) {
        self.requests += 1;
        self.errors += u64::from(row.failed());
        self.input = self.input.saturating_add(row.input.unwrap_or_default());
        self.output = self.output.saturating_add(row.output.unwrap_or_default());
        self.cost += row.cost.unwrap_or_default();
        self.latency.add(row.duration_ms);
        if let Some(ms) = row.first_token_ms {
            self.first_token.add(ms);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cost += other.cost;
        self.latency.merge(&other.latency);
        self.first_token.merge(&other.first_token);
    }
}

/// A provider and a model.
type Key = (Box<str>, Box<str>);

#[derive(Debug, Default)]
struct Minute {
    /// Minutes since the Unix epoch.
    number: u64,
    series: HashMap<Key, Figures>,
    skipped: u64,
}

/// The last hour.
#[derive(Debug, Default)]
pub(in crate::page) struct Minutes {
    minutes: VecDeque<Minute>,
}

/// A series: one figure a minute.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::page) struct Series {
    #[schema(value_type = String)]
    provider: Box<str>,
    #[schema(value_type = String)]
    model: Box<str>,
    requests: Vec<u64>,
    errors: Vec<u64>,
    input: Vec<u64>,
    output: Vec<u64>,
    cost: Vec<f64>,
    latency: Percentiles,
    first_token: Percentiles,
}

/// Percentiles of each minute.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::page) struct Lines {
    p50: Vec<Option<f64>>,
    p95: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
}

impl Lines {
    fn push(&mut self, times: &Times) {
        let Percentiles { p50, p95, p99 } = times.percentiles();
        self.p50.push(p50);
        self.p95.push(p95);
        self.p99.push(p99);
    }
}

/// The last hour.
///
/// Of times there are percentiles, in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::page) struct Hour {
    /// The Unix milliseconds at which each minute began.
    minutes: Vec<u64>,
    series: Vec<Series>,
    latency: Lines,
    first_token: Lines,
    pub(in crate::page) sums: Figures,
    /// Requests that came too fast to be read.
    skipped: u64,
}

impl Minutes {
    /// Counts a request into the minute in which it was over, unless that is too long ago.
    pub(in crate::page) fn add(&mut self, row: &Row, now_ms: u64) {
        let Some(minute) = self.minute(row.done_ms.min(now_ms) / 60_000, now_ms) else { return };
        let provider = if row.provider.is_empty() { "" } else { &row.provider };
        let key: Key = (provider.into(), row.known_model.as_str().into());
        let fits = minute.series.len() < MAX_SERIES || minute.series.contains_key(&key);
        let key = if fits { key } else { (OTHERS.into(), OTHERS.into()) };
        minute.series.entry(key).or_default().add(row);
    }

    /// Counts requests that are not read.
    pub(in crate::page) fn skip(&mut self, count: u64, now_ms: u64) {
        if let Some(minute) = self.minute(now_ms / 60_000, now_ms) {
            minute.skipped = minute.skipped.saturating_add(count);
        }
    }

    fn minute(&mut self, number: u64, now_ms: u64) -> Option<&mut Minute> {
        let oldest = oldest(now_ms);
        while self.minutes.front().is_some_and(|minute| minute.number < oldest) {
            self.minutes.pop_front();
        }
        if number < oldest {
            return None;
        }
        let place = self.minutes.partition_point(|minute| minute.number < number);
        if self.minutes.get(place).is_none_or(|minute| minute.number != number) {
            self.minutes.insert(place, Minute { number, ..Minute::default() });
        }
        self.minutes.get_mut(place)
    }

    /// The last hour until now.
    pub(in crate::page) fn hour(&self, now_ms: u64) -> Hour {
        let oldest = oldest(now_ms);
        let numbers: Vec<u64> = (oldest..).take(MINUTES).collect();
        let place =
            |minute: &Minute| minute.number.checked_sub(oldest).and_then(|place| usize::try_from(place).ok());
        let mut sums: HashMap<&Key, Figures> = HashMap::new();
        let mut each: Vec<Figures> = vec![Figures::default(); MINUTES];
        let (mut all, mut skipped) = (Figures::default(), 0);
        for minute in &self.minutes {
            let Some(figures_of_minute) = place(minute).and_then(|place| each.get_mut(place)) else {
                continue;
            };
            skipped += minute.skipped;
            for (key, figures) in &minute.series {
                sums.entry(key).or_default().merge(figures);
                figures_of_minute.merge(figures);
                all.merge(figures);
            }
        }
        let mut order: Vec<(&Key, &Figures)> = sums.iter().map(|(key, figures)| (*key, figures)).collect();
        order.sort_by(|(key, one), (other_key, other)| {
            other.requests.cmp(&one.requests).then(key.cmp(other_key))
        });
        let mut series: Vec<Series> = order
            .iter()
            .take(LISTED)
            .map(|(key, figures)| self.series(key.0.clone(), key.1.clone(), figures, &[*key], &place))
            .collect();
        let rest: Vec<&Key> = order.iter().skip(LISTED).map(|(key, _)| *key).collect();
        if !rest.is_empty() {
            let mut figures = Figures::default();
            order.iter().skip(LISTED).for_each(|(_, one)| figures.merge(one));
            series.push(self.series(OTHERS.into(), OTHERS.into(), &figures, &rest, &place));
        }
        let (mut latency, mut first_token) = (Lines::default(), Lines::default());
        for figures in &each {
            latency.push(&figures.latency);
            first_token.push(&figures.first_token);
        }
        let minutes = numbers.iter().map(|number| number * 60_000).collect();
        Hour { minutes, series, latency, first_token, sums: all, skipped }
    }

    fn series(
        &self,
        provider: Box<str>,
        model: Box<str>,
        sum: &Figures,
        keys: &[&Key],
        place: &impl Fn(&Minute) -> Option<usize>,
    ) -> Series {
        let mut series = Series {
            provider,
            model,
            requests: vec![0; MINUTES],
            errors: vec![0; MINUTES],
            input: vec![0; MINUTES],
            output: vec![0; MINUTES],
            cost: vec![0.0; MINUTES],
            latency: sum.latency.percentiles(),
            first_token: sum.first_token.percentiles(),
        };
        for minute in &self.minutes {
            let Some(at) = place(minute).filter(|at| *at < MINUTES) else { continue };
            for figures in keys.iter().filter_map(|key| minute.series.get(*key)) {
                add(&mut series.requests, at, figures.requests);
                add(&mut series.errors, at, figures.errors);
                add(&mut series.input, at, figures.input);
                add(&mut series.output, at, figures.output);
                if let Some(cost) = series.cost.get_mut(at) {
                    *cost += figures.cost;
                }
            }
        }
        series
    }
}

fn add(list: &mut [u64], at: usize, count: u64) {
    if let Some(sum) = list.get_mut(at) {
        *sum = sum.saturating_add(count);
    }
}

/// The first minute of the hour that ends now.
fn oldest(now_ms: u64) -> u64 {
    (now_ms / 60_000 + 1).saturating_sub(MINUTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{page::traces::row::of, spans::fixture::streamed};

    const NOW: u64 = 1_700_000_000_000;

    fn row(model: &str, ms: f64, done_ms: u64) -> Row {
        Row { known_model: model.to_owned(), duration_ms: ms, done_ms, ..of(&streamed(), 1) }
    }

    #[test]
    fn each_minute_has_its_own_and_the_sums_are_the_sums() {
        let mut minutes = Minutes::default();
        minutes.add(&row("a", 10.0, NOW), NOW);
        minutes.add(&row("a", 10.0, NOW - 60_000), NOW);
        minutes.add(&row("b", 10.0, NOW), NOW);
        minutes.add(&row("a", 10.0, NOW - 3_600_000), NOW);
        minutes.add(&row("a", 10.0, NOW + 3_600_000), NOW);
        let hour = minutes.hour(NOW);
        assert_eq!(hour.minutes.len(), MINUTES);
        assert_eq!(hour.minutes[MINUTES - 1], NOW / 60_000 * 60_000);
        assert_eq!(hour.sums.requests, 4);
        assert_eq!(&*hour.series[0].model, "a");
        assert_eq!(hour.series[0].requests[MINUTES - 2..], [1, 2]);
        assert_eq!(hour.series[1].requests[MINUTES - 2..], [0, 1]);
        let sum: f64 = hour.series.iter().flat_map(|series| &series.cost).sum();
        assert!((sum - hour.sums.cost).abs() < 1e-12 && sum > 0.0);
        let later = minutes.hour(NOW + 59 * 60_000);
        assert_eq!(later.series[0].requests[0], 2);
        assert_eq!(minutes.hour(NOW + 61 * 60_000).sums.requests, 0);
    }

    #[test]
    fn percentiles_are_within_five_percent() {
        let mut minutes = Minutes::default();
        for ms in 1..=1000 {
            minutes.add(&row("a", f64::from(ms), NOW), NOW);
        }
        let Percentiles { p50, p95, p99 } = minutes.hour(NOW).sums.latency.percentiles();
        for (shown, true_one) in [(p50, 500.0), (p95, 950.0), (p99, 990.0)] {
            let shown = shown.unwrap();
            assert!((shown / true_one - 1.0).abs() < 0.055, "{shown} for {true_one}");
        }
        let none = Minutes::default().hour(NOW);
        assert!(
            none.sums.latency.percentiles().p50.is_none() && none.latency.p50.iter().all(Option::is_none)
        );
        let mut extremes = Times::default();
        for extreme in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            extremes.add(extreme);
        }
        let times = extremes.0.unwrap();
        assert_eq!(times.len(), 5);
        assert!(size_of_val(&times) + times.distinct_values() * size_of::<u32>() <= 2000);
    }

    #[test]
    fn models_without_end_take_bounded_room_and_are_counted_all_the_same() {
        let mut minutes = Minutes::default();
        for number in 0..1000 {
            minutes.add(&row(&format!("invented-{number}"), 1.0, NOW), NOW);
        }
        assert!(minutes.minutes[0].series.len() <= MAX_SERIES + 1);
        let hour = minutes.hour(NOW);
        assert_eq!(hour.series.len(), LISTED + 1);
        assert_eq!(hour.series.iter().flat_map(|series| &series.requests).sum::<u64>(), 1000);
        minutes.skip(7, NOW);
        assert_eq!(minutes.hour(NOW).skipped, 7);
    }
}
