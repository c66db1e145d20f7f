//! Where a request goes: the decision, the attempts that follow from it, and the list of models.

pub mod attempts;
pub mod decide;
pub mod decision;
pub mod models;
pub mod router_headers;
