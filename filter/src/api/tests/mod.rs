//! What holds of every family.

mod call;
mod errors;
mod kind;
mod parameters;
mod usage;
