//! Chaos: faults drawn from a seed, and the proof from outside that nothing was lost that was promised.

pub mod rig;
mod run;
pub mod verdict;

pub use self::run::{Settings, run};
