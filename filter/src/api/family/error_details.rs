//! An error of the gateway's own, before a family gives it the shape of its API.

/// What an error says: the status's class, the gateway's own code for programs, and the message for people. An API
/// that has no place for a code gets it as a member beside.
#[derive(Clone, Copy, Debug)]
pub struct ErrorDetails<'e> {
    /// The HTTP status.
    pub status: u16,
    /// The class by OpenAI's names, such as `invalid_request_error`.
    pub kind: &'e str,
    /// The reason for programs, such as `model_not_found`.
    pub code: &'e str,
    /// The field that it is about.
    pub param: Option<&'e str>,
    /// The reason for people.
    pub message: &'e str,
}
