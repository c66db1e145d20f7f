//! Histograms by instrument and label set, counted up from nothing and bounded in number.

use std::collections::{BTreeMap, HashMap};

use super::{instrument::Instrument, labels::Labels};

/// Label sets of one instrument at most, the overflow's included (the default of the OpenTelemetry metrics
/// SDK specification, "Cardinality limits").
pub const MAX_LABEL_SETS: usize = 2000;

/// Something that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What it is counted into.
    pub instrument: Instrument,
    /// By which attributes.
    pub labels: Labels,
    /// The value, in the instrument's unit.
    pub value: f64,
    /// How often it was measured.
    pub times: u64,
}

/// A histogram with explicit buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Observations by bucket, one more than there are bounds.
    pub buckets: Vec<u64>,
    /// All values added up.
    pub sum: f64,
    /// How many values there were.
    pub count: u64,
}

impl Histogram {
    fn new(instrument: Instrument) -> Self {
        Self { buckets: vec![0; instrument.bounds().len() + 1], sum: 0.0, count: 0 }
    }

    fn record(&mut self, bounds: &[f64], value: f64, times: u64) {
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket = bucket.saturating_add(times);
        }
        self.sum += value * times as f64;
        self.count = self.count.saturating_add(times);
    }

    fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        Self {
            buckets: buckets.map(|(now, then)| now.saturating_sub(*then)).collect(),
            sum: self.sum - earlier.sum,
            count: self.count.saturating_sub(earlier.count),
        }
    }
}

/// The series of one instrument.
pub type Series = HashMap<Labels, Histogram>;

/// Everything counted so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aggregate(BTreeMap<Instrument, Series>);

impl Aggregate {
    /// Counts an observation; one that is no number is left out.
    pub fn record(&mut self, observation: Observation) {
        let Observation { instrument, labels, value, times } = observation;
        if !value.is_finite() {
            return;
        }
        let series = self.0.entry(instrument).or_default();
        let fits = series.len() < MAX_LABEL_SETS - 1 || series.contains_key(&labels);
        let labels = if fits { labels } else { Labels::overflow() };
        let histogram = series.entry(labels).or_insert_with(|| Histogram::new(instrument));
        histogram.record(instrument.bounds(), value, times);
    }

    /// The instruments that something was counted into, in order.
    pub fn instruments(&self) -> impl Iterator<Item = (Instrument, &Series)> {
        self.0.iter().map(|(instrument, series)| (*instrument, series))
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was counted since an earlier state of the same aggregate.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = BTreeMap::new();
        for (instrument, series) in &self.0 {
            let mut changed = Series::new();
            for (labels, histogram) in series {
                let then = earlier.0.get(instrument).and_then(|series| series.get(labels));
                let new = then.map_or_else(|| histogram.clone(), |then| histogram.since(then));
                if new.count > 0 {
                    changed.insert(labels.clone(), new);
                }
            }
            if !changed.is_empty() {
                since.insert(*instrument, changed);
            }
        }
        Self(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(model: &str, value: f64, times: u64) -> Observation {
        let labels = Labels::default().text("gen_ai.request.model", model);
        Observation { instrument: Instrument::OperationDuration, labels, value, times }
    }

    fn only(aggregate: &Aggregate) -> &Series {
        aggregate.instruments().next().unwrap().1
    }

    #[test]
    fn a_value_on_a_bound_is_within_its_bucket_and_one_beyond_the_last_is_in_the_last() {
        let mut aggregate = Aggregate::default();
        for value in [0.0, 0.01, 0.010_001, 81.92, 82.0] {
            aggregate.record(seconds("m", value, 1));
        }
        aggregate.record(seconds("m", 0.02, 3));
        let histogram = only(&aggregate).values().next().unwrap();
        assert_eq!(histogram.buckets, [2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(histogram.count, 8);
        assert!((histogram.sum - 164.000_001).abs() < 1e-9, "{}", histogram.sum);
    }

    #[test]
    fn what_is_no_number_is_not_counted() {
        let mut aggregate = Aggregate::default();
        aggregate.record(seconds("m", f64::NAN, 1));
        aggregate.record(seconds("m", f64::INFINITY, 1));
        assert!(aggregate.is_empty());
    }

    #[test]
    fn label_sets_beyond_the_cap_share_the_overflow_and_known_ones_go_on() {
        let mut aggregate = Aggregate::default();
        for number in 0..MAX_LABEL_SETS + 500 {
            aggregate.record(seconds(&format!("invented-{number}"), 1.0, 1));
        }
        aggregate.record(seconds("invented-0", 1.0, 1));
        let series = only(&aggregate);
        assert_eq!(series.len(), MAX_LABEL_SETS);
        assert_eq!(series[&Labels::overflow()].count, 501);
        assert_eq!(series[&Labels::default().text("gen_ai.request.model", "invented-0")].count, 2);
        let total: u64 = series.values().map(|histogram| histogram.count).sum();
        assert_eq!(total, u64::try_from(MAX_LABEL_SETS).unwrap() + 501);
    }

    #[test]
    fn the_difference_to_an_earlier_state_is_what_came_since() {
        let mut aggregate = Aggregate::default();
        aggregate.record(seconds("a", 1.0, 1));
        aggregate.record(seconds("quiet", 1.0, 1));
        let earlier = aggregate.clone();
        assert!(aggregate.since(&earlier).is_empty());
        assert_eq!(aggregate.since(&Aggregate::default()), aggregate);
        aggregate.record(seconds("a", 3.0, 2));
        aggregate.record(seconds("b", 5.0, 1));
        let mut expected = Aggregate::default();
        expected.record(seconds("a", 3.0, 2));
        expected.record(seconds("b", 5.0, 1));
        assert_eq!(aggregate.since(&earlier), expected);
    }
}
