//! Load balancing: the order in which a request tries the targets of its model.
//!
//! [`order`] is a function of the request's facts, the state of the targets in this VM ([`TargetStates`]), the
//! time and random numbers, all of them arguments. State belongs to one VM, on one thread, and is bounded: by
//! the number of known targets and by a cap for each.

mod condition;
mod health;
pub mod latency;
pub mod order;
pub mod states;
pub mod sticky;
pub mod target;

pub use crate::balancing::condition::{Condition, Facts, When};
pub use crate::balancing::health::{Health, HealthSettings};
pub use crate::balancing::latency::Latency;
pub use crate::balancing::order::{Candidate, LoadBalancing, Strategy, order};
pub use crate::balancing::states::TargetStates;
pub use crate::balancing::sticky::Sticky;
pub use crate::balancing::target::{TARGETS_MAX, TargetId, TargetIds};
