//! What a chaos run happens to: everything with a link on every way, the faults, and what was observed.

pub mod apply;
pub mod link;
pub mod observed;
pub mod plant;
pub mod schedule;
