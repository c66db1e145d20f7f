//! Environment variables, looked up through a function so that tests bring their own.

use std::ffi::OsString;

/// How environment variables are looked up.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A variable's bytes are not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not valid UTF-8")]
pub struct NotUtf8(pub &'static str);

/// A variable's value, or `None` where it is unset or empty.
///
/// # Errors
///
/// [`NotUtf8`].
pub fn variable(env: Env<'_>, name: &'static str) -> Result<Option<String>, NotUtf8> {
    let Some(value) = env(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    value.into_string().map(Some).map_err(|_| NotUtf8(name))
}
