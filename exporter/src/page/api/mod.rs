//! What is under `/api`: JSON, described by `/api/openapi.json`.

pub(super) mod dead_letters;
pub(super) mod destinations;
pub(super) mod ledger;
pub(super) mod live;
pub(super) mod login;
pub(super) mod openapi;
pub(super) mod overview;
pub(super) mod traces;
pub(super) mod trouble;
