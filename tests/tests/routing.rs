//! Routing on a real Envoy: who may call which model, which provider gets the request, and what
//! happens when that one fails.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

#[path = "routing/access_log.rs"]
mod access_log;
#[path = "routing/balance.rs"]
mod balance;
#[path = "routing/conditions.rs"]
mod conditions;
#[path = "routing/failover.rs"]
mod failover;
#[path = "routing/first_target.rs"]
mod first_target;
#[path = "routing/forms.rs"]
mod forms;
#[path = "routing/grants.rs"]
mod grants;
#[path = "routing/keys.rs"]
mod keys;
#[path = "routing/load.rs"]
mod load;
#[path = "routing/not_now.rs"]
mod not_now;
#[path = "routing/paths.rs"]
mod paths;
#[path = "routing/refusals.rs"]
mod refusals;
#[path = "routing/secrets.rs"]
mod secrets;
#[path = "routing/setting.rs"]
mod setting;
#[path = "routing/tokens.rs"]
mod tokens;
