//! What handlers respond from: the exporter's parts that the page shows, and what the page remembers.

pub(super) mod shared;
pub(super) mod subjects;
pub(super) mod trend;
