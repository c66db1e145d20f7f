//! Random numbers for ids and jitter, seeded by the host at VM start.
//!
//! Ids must differ between VMs, but need not be unpredictable, so a fast generator with 256 bits of seeded
//! state suffices.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A random number generator.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Creates a generator whose state is the seed.
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

    /// A number in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }
}
