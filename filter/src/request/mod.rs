//! Reading a request's body: its model, parameters and references, in JSON and in forms.

pub mod body;
pub mod multipart;
mod references;
