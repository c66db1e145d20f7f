//! At which price a response is billed, by the words of the provider: a service tier, a speed, a place.
//!
//! A word that is not known may stand for any price, so it leaves the response without a cost.

use weir_event::v1::Response;

/// Words for the price that a table lists, whatever they are said about.
const STANDARD: [&str; 10] = [
    "",
    "auto",
    "default",
    "standard",
    "normal",
    "on_demand",
    "global",
    "not_available",
    "none",
    "unspecified",
];

/// What some APIs put before the words of their enums.
const PREFIXES: [&str; 2] = ["service_tier_", "traffic_type_"];

/// What deviates from the standard price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Billing {
    /// The service tier, in lower case.
    pub tier: Option<String>,
    /// Anthropic's fast mode.
    pub fast: bool,
    /// Where inference had to stay, in lower case.
    pub geo: Option<String>,
}

impl Billing {
    /// How a response is billed; `None` where one of its words is not known, or two contradict each other.
    pub(super) fn of(response: &Response) -> Option<Self> {
        let mut billing = Self::default();
        billing.tier(&word(&response.service_tier))?;
        let marks = response.usage.iter().flat_map(|usage| &usage.price_marks);
        for (path, said) in marks {
            let (about, said) = (last(path), word(said));
            if STANDARD.contains(&said.as_str()) {
                continue;
            }
            match about.as_str() {
                "servicetier" => billing.tier(&said)?,
                // Vertex AI, "TrafficType": ON_DEMAND_PRIORITY and ON_DEMAND_FLEX are tiers. What goes over
                // provisioned throughput was paid for before.
                "traffictype" => billing.tier(said.strip_prefix("on_demand_")?)?,
                "speed" if said == "fast" => billing.fast = true,
                "inferencegeo" => billing.geo = Some(said),
                _ => return None,
            }
        }
        Some(billing)
    }

    /// Whether it is the price that a table lists, wherever that is.
    pub(super) fn is_standard(&self) -> bool {
        self.tier.is_none() && !self.fast
    }

    fn tier(&mut self, said: &str) -> Option<()> {
        if STANDARD.contains(&said) {
            return Some(());
        }
        let known = self.tier.get_or_insert_with(|| said.to_owned());
        (known == said).then_some(())
    }
}

fn word(said: &str) -> String {
    let lower = said.to_ascii_lowercase();
    let bare = PREFIXES.iter().find_map(|prefix| lower.strip_prefix(prefix)).map(str::to_owned);
    bare.unwrap_or(lower)
}

/// The last name of a path, the same in camelCase and in snake_case.
pub(super) fn last(path: &str) -> String {
    plain(path.rsplit('.').next().unwrap_or_default())
}

/// A name without what the cases differ by.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|letter| *letter != '_').map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use weir_event::v1::Usage;

    use super::*;

    fn billing(tier: &str, marks: &[(&str, &str)]) -> Option<Billing> {
        let price_marks = marks.iter().map(|(path, word)| ((*path).to_owned(), (*word).to_owned())).collect();
        let usage = Some(Usage { price_marks, ..Usage::default() });
        Billing::of(&Response { service_tier: tier.to_owned(), usage, ..Response::default() })
    }

    fn tier(name: &str) -> Option<Billing> {
        Some(Billing { tier: Some(name.to_owned()), ..Billing::default() })
    }

    #[test]
    fn words_for_the_listed_price_change_nothing() {
        for (service_tier, marks) in [
            ("", &[][..]),
            ("default", &[("usage.service_tier", "standard"), ("usage.speed", "standard")]),
            ("standard", &[("usage.inference_geo", "global")]),
            ("", &[("usage.inference_geo", "not_available"), ("usageMetadata.trafficType", "ON_DEMAND")]),
            ("", &[("usageMetadata.trafficType", "TRAFFIC_TYPE_UNSPECIFIED")]),
            ("", &[("usageMetadata.serviceTier", "SERVICE_TIER_STANDARD"), ("serviceTier", "standard")]),
        ] {
            assert_eq!(billing(service_tier, marks), Some(Billing::default()), "{service_tier} {marks:?}");
        }
    }

    #[test]
    fn a_tier_is_the_same_under_each_of_its_names() {
        assert_eq!(billing("priority", &[]), tier("priority"));
        assert_eq!(billing("", &[("usageMetadata.serviceTier", "flex")]), tier("flex"));
        assert_eq!(billing("", &[("usage_metadata.service_tier", "FLEX")]), tier("flex"));
        assert_eq!(billing("flex", &[("usageMetadata.trafficType", "ON_DEMAND_FLEX")]), tier("flex"));
        assert_eq!(billing("", &[("usageMetadata.trafficType", "ON_DEMAND_PRIORITY")]), tier("priority"));
    }

    #[test]
    fn speed_and_place_stand_beside_each_other() {
        let marks = [("usage.speed", "fast"), ("usage.inference_geo", "us")];
        let expected = Billing { fast: true, geo: Some("us".to_owned()), tier: None };
        assert_eq!(billing("standard", &marks), Some(expected));
    }

    #[test]
    fn a_word_that_is_not_known_or_contradicts_another_has_no_price() {
        for (service_tier, marks) in [
            ("", ("usageMetadata.trafficType", "PROVISIONED_THROUGHPUT")),
            ("", ("usage.speed", "turbo")),
            ("", ("usage.billing_mode", "batch")),
            ("flex", ("usage.service_tier", "priority")),
        ] {
            assert_eq!(billing(service_tier, &[marks]), None, "{service_tier} {marks:?}");
        }
    }
}
