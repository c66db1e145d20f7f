//! Statistics of a few figures: quantiles, spreads, and a slope that outliers cannot move.

/// A figure of several rounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of these; all zero where there are none.
    pub fn of(mut values: Vec<f64>) -> Self {
        let median = quantile(&mut values, 0.5);
        let [min, max] = [values.first(), values.last()].map(|value| value.copied().unwrap_or_default());
        Self { median, min, max }
    }
}

/// The least of these values that this share of them, from 0 to 1, does not exceed (nearest rank); 0 where there
/// are none. Sorts them.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the slice")]
    let rank = (values.len() as f64 * share).ceil().max(1.0) as usize - 1;
    values.get(rank).or(values.last()).copied().unwrap_or_default()
}

/// With so many digits behind the point.
pub fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

/// The Theil–Sen slope of points (x, y): the median of the slopes between any two of them. Up to 29 % of
/// the points may be anywhere. 0 of fewer than two.
pub fn theil_sen(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (place, (x, y)) in points.iter().enumerate() {
        for (later, above) in points.iter().skip(place + 1) {
            if later > x {
                slopes.push((above - y) / (later - x));
            }
        }
    }
    median(slopes)
}

/// The median; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half), half.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => f64::midpoint(*lower, *upper),
        (Some(middle), _) => *middle,
        (None, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope_whatever_a_few_outliers_say() {
        let mut points: Vec<(f64, f64)> = (0..40).map(|x| (f64::from(x), 3.0 + 0.5 * f64::from(x))).collect();
        points[7].1 = 9000.0;
        points[8].1 = 9000.0;
        points[30].1 = -9000.0;
        assert!((theil_sen(&points) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_goes_up_and_down_does_not_rise() {
        let saw: Vec<(f64, f64)> = (0..200).map(|x| (f64::from(x), f64::from(x % 10))).collect();
        assert!(theil_sen(&saw).abs() < 0.01, "{}", theil_sen(&saw));
    }

    #[test]
    fn too_few_points_rise_not() {
        assert_eq!((theil_sen(&[]), theil_sen(&[(1.0, 5.0)])), (0.0, 0.0));
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
    }

    #[test]
    fn quantiles_are_those_of_the_nearest_rank() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.5, 0.99, 1.0].map(|share| quantile(&mut values, share)), [50.0, 99.0, 100.0]);
        assert_eq!((quantile(&mut [7.0], 0.01), quantile(&mut [], 0.5)), (7.0, 0.0));
    }
}
