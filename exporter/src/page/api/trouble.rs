//! What is wrong now, in a sentence, with what to do about it; the worst first.

use serde::Serialize;
use utoipa::ToSchema;

use super::ledger::Ledger;
use crate::{
    page::state::{shared::Shared, trend::Totals},
    saved_destinations::Wanted,
    ship::fleet::Report,
};

/// A smaller backlog is not reported.
const BACKLOG: u64 = 1000;

/// How bad it is.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::page) enum Level {
    /// Events are or will be lost, or processing has stopped.
    Error,
    /// Needs attention.
    Warning,
    /// Information.
    Note,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, PartialEq, Eq, ToSchema)]
pub(in crate::page) struct Trouble {
    level: Level,
    what: String,
    /// What to do.
    advice: String,
    /// The view of the page that helps, such as `settings/mw`.
    #[schema(required)]
    view: Option<String>,
}

impl Trouble {
    fn error(what: String, advice: &str) -> Self {
        Self { level: Level::Error, what, advice: advice.to_owned(), view: None }
    }

    fn warning(what: String, advice: &str) -> Self {
        Self { level: Level::Warning, ..Self::error(what, advice) }
    }

    fn at(self, view: impl Into<String>) -> Self {
        Self { view: Some(view.into()), ..self }
    }
}

/// All that is wrong.
pub(in crate::page) fn all(
    shared: &Shared,
    ledger: &Ledger,
    reports: &[Report],
    totals: &Totals,
) -> Vec<Trouble> {
    let mut found = Vec::new();
    if let Err(why) = shared.subjects.bus.state() {
        found.push(Trouble::error(
            format!("The exporter is not ready: {why}."),
            "Requests go on, and the gateway's workers hold their events for a while. Check that nats-server runs \
             with JetStream and can be reached.",
        ));
    }
    if let Some(why) = shared.subjects.wrong() {
        found.push(Trouble::error(
            format!("The configuration on disk is refused: {why}."),
            "The previous one stays in force. Fix the file; it is reloaded automatically.",
        ));
    }
    let wanted = shared.subjects.saved.wanted();
    found.extend(wanted.iter().filter_map(|(name, wanted)| of_wanted(name, wanted)));
    if reports.is_empty() && wanted.is_empty() {
        let what = "No destination is set: events are stored and go nowhere.".to_owned();
        found.push(Trouble::warning(what, "Add one.").at("add-destination"));
    }
    found.extend(reports.iter().filter_map(of_condition));
    if let Some(before) = shared.trend().before() {
        found.extend(growing(before, totals));
    }
    if let Some(count) = ledger.dead_letters.filter(|count| *count > 0) {
        let what = format!("{count} {} refused by a destination and set aside.", were(count, "event"));
        found.push(Trouble::warning(what, "Fix the cause, then replay them.").at("dead-letters"));
    }
    let quiet = ledger.is_empty() && reports.iter().all(|report| report.stored == 0);
    if found.is_empty() && quiet {
        let advice = "Send one through the gateway: it shows up here at once.";
        found.push(Trouble {
            level: Level::Note,
            ..Trouble::error("No request has come yet.".to_owned(), advice)
        });
    }
    found.sort_by_key(|trouble| trouble.level);
    found
}

fn were(count: u64, what: &str) -> String {
    if count == 1 { format!("{what} was") } else { format!("{what}s were") }
}

/// A destination that is set and does not run.
fn of_wanted(name: &str, wanted: &Wanted) -> Option<Trouble> {
    let trouble = match wanted {
        Wanted::Runs => return None,
        Wanted::Waits => Trouble::warning(
            format!("{name} is set and does not run yet."),
            "It is started within seconds, and again every other second. If it does not start, the exporter's log says why.",
        ),
        Wanted::Refused(why) => Trouble::error(
            format!("{name} is saved and cannot run here: {why}."),
            "Nothing is sent to it, and its events wait. Fix that and save it again.",
        ),
    };
    Some(trouble.at(format!("settings/{name}")))
}

fn of_condition(report: &Report) -> Option<Trouble> {
    let Report { name, backlog, condition, reason, .. } = report;
    let reason = reason.as_deref().unwrap_or("no reason is known");
    let waiting = match backlog {
        0 => String::new(),
        1 => " 1 event waits.".to_owned(),
        count => format!(" {count} events wait."),
    };
    let trouble = match *condition {
        "retrying" => Trouble::warning(
            format!("{name} cannot take events now: {reason}.{waiting}"),
            "Nothing is lost yet: delivery is retried. Check that the endpoint is up.",
        ),
        "misconfigured" => Trouble::error(
            format!("{name} refuses what it gets: {reason}.{waiting}"),
            crate::otlp::advice(reason),
        ),
        "refusing" => Trouble::error(
            format!("{name} refuses every single event: {reason}.{waiting}"),
            "It is not the events' fault. Is it an OTLP endpoint for traces, of this protocol?",
        ),
        _ => return None,
    };
    Some(trouble.at(format!("settings/{name}")))
}

/// What has grown that should not.
fn growing(before: &Totals, now: &Totals) -> Vec<Trouble> {
    let mut found = Vec::new();
    let dropped = now.dropped.saturating_sub(before.dropped);
    if dropped > 0 {
        found.push(Trouble::error(
            format!(
                "{dropped} {} dropped by the gateway in the last minutes: its outbox was full.",
                were(dropped, "event")
            ),
            "The exporter is too slow or was away. Give it more CPU, or start another one.",
        ));
    }
    let refused = now.refused.saturating_sub(before.refused);
    if refused > 0 {
        found.push(Trouble::error(
            format!("{refused} {} refused by ingest for good in the last minutes.", were(refused, "event")),
            "The exporter's log says why. Are the versions of gateway and exporter compatible?",
        ));
    }
    for (name, count) in &now.evicted {
        let evicted = count.saturating_sub(before.evicted.get(name).copied().unwrap_or(*count));
        if evicted > 0 {
            let were = were(evicted, "event");
            let trouble = Trouble::error(
                format!(
                    "{evicted} {were} lost to {name} in the last minutes: the stream was full, or they were too old."
                ),
                "Fix the destination, or raise stream.max_bytes and stream.max_age.",
            );
            found.push(trouble.at(format!("settings/{name}")));
        }
    }
    for (name, backlog) in &now.backlog {
        let earlier = before.backlog.get(name).copied().unwrap_or(*backlog);
        if *backlog > BACKLOG && *backlog > earlier.saturating_add(earlier / 10) {
            let trouble = Trouble::warning(
                format!(
                    "{name} falls behind: {backlog} events wait, {} more than minutes ago.",
                    backlog - earlier
                ),
                "It takes events slower than they come. Raise its concurrency, or check the endpoint's response times.",
            );
            found.push(trouble.at(format!("settings/{name}")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{ledger::Account, ship::Condition};

    fn report(condition: &Condition, backlog: u64) -> Report {
        Report::new("mw", "https://acme.example".to_owned(), condition, &Account::default(), backlog)
    }

    #[test]
    fn a_destination_that_is_not_well_is_told_with_its_reason_and_what_to_do() {
        assert_eq!(of_condition(&report(&Condition::Well, 5)), None);
        let wrong_key = of_condition(&report(&Condition::Misconfigured("HTTP 401".to_owned()), 1)).unwrap();
        assert_eq!(wrong_key.what, "mw refuses what it gets: HTTP 401. 1 event waits.");
        assert_eq!((wrong_key.level, wrong_key.view.as_deref()), (Level::Error, Some("settings/mw")));
        assert!(wrong_key.advice.contains("key"));
        let away = of_condition(&report(&Condition::Retrying("HTTP 503".to_owned()), 0)).unwrap();
        assert_eq!(
            (away.level, away.what.as_str()),
            (Level::Warning, "mw cannot take events now: HTTP 503.")
        );
    }

    #[test]
    fn a_destination_that_is_set_and_does_not_run_is_told() {
        assert_eq!(of_wanted("mw", &Wanted::Runs), None);
        let waits = of_wanted("mw", &Wanted::Waits).unwrap();
        assert_eq!((waits.level, waits.what.as_str()), (Level::Warning, "mw is set and does not run yet."));
        let refused = of_wanted("mw", &Wanted::Refused("key: it cannot be opened".to_owned())).unwrap();
        assert_eq!(refused.what, "mw is saved and cannot run here: key: it cannot be opened.");
        assert_eq!((refused.level, refused.view.as_deref()), (Level::Error, Some("settings/mw")));
    }

    #[test]
    fn only_what_grew_lately_is_wrong_now() {
        let map = |count| BTreeMap::from([("mw".to_owned(), count)]);
        let before = Totals { dropped: 10, refused: 1, evicted: map(5), backlog: map(2000) };
        assert_eq!(growing(&before, &before), []);
        let now = Totals { dropped: 11, refused: 3, evicted: map(9), backlog: map(4000) };
        let found = growing(&before, &now);
        assert_eq!(found.len(), 4);
        assert!(found[0].what.starts_with("1 event was dropped"), "{found:?}");
        assert!(found[3].what.contains("4000 events wait, 2000 more"), "{found:?}");
        // A destination that is new has lost nothing.
        assert_eq!(
            growing(&Totals::default(), &Totals { evicted: map(9), backlog: map(9), ..Totals::default() }),
            []
        );
    }
}
