//! Randomness for ids and jitter, from a seed that the host draws once at VM start.
//!
//! Ids must differ from those of every other VM, and nobody may be harmed by guessing them: a
//! fast generator with 256 bits of seeded state does.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// A generator of the whole seed's state.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Xoshiro256PlusPlus::from_seed(seed))
    }

    /// 16 bytes that are not all zero (W3C Trace Context, "trace-id").
    pub fn trace_id(&mut self) -> [u8; 16] {
        (u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64())).max(1).to_be_bytes()
    }

    /// 8 bytes that are not all zero (W3C Trace Context, "parent-id").
    pub fn span_id(&mut self) -> [u8; 8] {
        self.0.next_u64().max(1).to_be_bytes()
    }

    /// A number from 0 up to, and without, 1.
    pub fn fraction(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }
}
