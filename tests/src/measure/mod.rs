//! Figures of processes and of rounds, for benches, soak and chaos.

pub mod cpu;
pub mod statistics;
