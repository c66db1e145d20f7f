//! A model of the table, checked: its targets, the order they are tried in, and when the next one is.

use std::{collections::HashMap, rc::Rc};

use weir_settings::{ConfigError, Duration, did_you_mean};

use crate::balancing::sticky::Seed;
use crate::balancing::{Candidate, Condition, LoadBalancing, Strategy, TargetIds};
use crate::config::target::{Route, check_model};
use crate::config::upstream::Upstream;
use crate::config::wire::{Model, PluginConfig, Timeouts};

/// Most targets of one model.
const TARGETS_MAX: usize = 32;
/// Most attempts at one target.
const TRIES_MAX: u32 = 5;
/// Shortest and longest pause before another attempt.
const BACKOFF_MIN: Duration = Duration::from_ms(1);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// When a target is tried again and when the next one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// How often a target is tried in all.
    pub attempts: u32,
    /// The statuses after which it is tried again.
    pub retry_on: Vec<u16>,
    /// The statuses after which the next one is tried.
    pub fallback_on: Vec<u16>,
}

/// A model with its targets, ready for use.
#[derive(Debug)]
pub struct VirtualModel {
    /// How the targets are put in order.
    pub policy: LoadBalancing,
    /// The targets as the strategy sees them.
    pub candidates: Vec<Candidate>,
    /// The same as attempts see them.
    pub routes: Vec<Rc<Route>>,
    /// When which target is tried next.
    pub failover: Rc<Failover>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// The pause before another attempt, where it is not the usual one.
    pub backoff: Option<Duration>,
}

impl VirtualModel {
    /// A model of one target, tried once.
    pub(crate) fn of(route: Route) -> Self {
        let candidate =
            Candidate { id: route.id, seed: Seed::new("", 0), weight: 1, when: None, may_fallback: true };
        Self {
            policy: LoadBalancing::default(),
            candidates: vec![candidate],
            routes: vec![Rc::new(route)],
            failover: Rc::new(Failover { attempts: 1, retry_on: Vec::new(), fallback_on: Vec::new() }),
            timeouts: Timeouts::default(),
            backoff: None,
        }
    }
}

pub(crate) fn virtual_model(
    name: &str,
    model: &Model,
    upstreams: &HashMap<String, Rc<Upstream>>,
    ids: &mut TargetIds,
) -> Result<VirtualModel, ConfigError> {
    let at = |field: &str| format!("models.{name}.{field}");
    check_model(name).map_err(|message| ConfigError::at(format!("models.{name:?}"), message))?;
    if !(1..=TARGETS_MAX).contains(&model.targets.len()) {
        let message = format!("{} targets given; give 1 to {TARGETS_MAX}, or an alias", model.targets.len());
        return Err(ConfigError::at(at("targets"), message));
    }
    let (mut candidates, mut routes) = (Vec::new(), Vec::new());
    for (index, target) in model.targets.iter().enumerate() {
        let path = at(&format!("targets[{index}]"));
        let route = Route::new(target, name, &path, upstreams, ids)?;
        let when =
            target.when.as_ref().map(|when| Condition::new(when, &format!("{path}.when"))).transpose()?;
        candidates.push(Candidate {
            id: route.id,
            seed: Seed::new(&format!("{}/{}", route.provider(), route.model), index),
            weight: target.weight,
            when,
            may_fallback: target.fallback,
        });
        routes.push(Rc::new(route));
    }
    if model.strategy == Strategy::Weighted && candidates.iter().all(|candidate| candidate.weight == 0) {
        let message = "every weight is 0, so no target would ever be first; give one a weight above 0";
        return Err(ConfigError::at(at("targets"), message));
    }
    if model.retry.backoff.is_some_and(|backoff| !(BACKOFF_MIN..=BACKOFF_MAX).contains(&backoff)) {
        let message = format!("must be from {BACKOFF_MIN} to {BACKOFF_MAX}");
        return Err(ConfigError::at(at("retry.backoff"), message));
    }
    if !(1..=TRIES_MAX).contains(&model.retry.attempts) {
        let message = format!("{} attempts; give 1 (no retry) to {TRIES_MAX}", model.retry.attempts);
        return Err(ConfigError::at(at("retry.attempts"), message));
    }
    for (field, statuses) in [("retry.on", &model.retry.on), ("fallback.on", &model.fallback.on)] {
        if let Some(status) = statuses.iter().find(|status| !(400..600).contains(*status)) {
            let message = format!("{status} is no status of a failure; give 400 to 599");
            return Err(ConfigError::at(at(field), message));
        }
    }
    model.health.check(&at("health"))?;
    if let Some(sticky) = &model.sticky {
        sticky.check(&at("sticky"))?;
    }
    Ok(VirtualModel {
        policy: LoadBalancing {
            strategy: model.strategy,
            health: model.health,
            sticky: model.sticky.clone(),
        },
        candidates,
        routes,
        failover: Rc::new(Failover {
            attempts: model.retry.attempts,
            retry_on: model.retry.on.clone(),
            fallback_on: model.fallback.on.clone(),
        }),
        timeouts: model.timeouts.clone(),
        backoff: model.retry.backoff,
    })
}

pub(crate) fn check_alias(
    name: &str,
    model: &Model,
    alias: &str,
    plugin: &PluginConfig,
) -> Result<(), ConfigError> {
    let path = format!("models.{name}.alias");
    check_model(name).map_err(|message| ConfigError::at(format!("models.{name:?}"), message))?;
    let only_alias = Model { alias: model.alias.clone(), ..Model::default() };
    if *model != only_alias {
        return Err(ConfigError::at(
            path,
            "an alias stands alone; give the other fields to the model it names",
        ));
    }
    match plugin.models.get(alias) {
        Some(meant) if meant.alias.is_none() => Ok(()),
        Some(_) => {
            Err(ConfigError::at(path, format!("{alias:?} is an alias itself; name the model it stands for")))
        }
        None => {
            let hint = did_you_mean(alias, plugin.models.keys().map(String::as_str));
            Err(ConfigError::at(path, format!("no model named {alias:?}{hint}")))
        }
    }
}
