//! The machine beneath the tests: processes, ports, programs, clocks and waiting.

pub mod clock;
pub mod ports;
pub mod probe;
pub mod process;
pub mod terminal;
pub mod tmpfs;
pub mod tools;
pub mod wait;
