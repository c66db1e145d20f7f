//! What the filter proves to the exporter that it may send by, where that is not Envoy's to add.

use std::fmt;

use weir_settings::ConfigError;

use crate::config::wire::Exporter;

/// The exporter's token as the value of a header.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The value of `authorization`.
    pub fn header(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

pub(crate) fn token(
    exporter: &Exporter,
    variable: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Option<Token>, ConfigError> {
    let Some(source) = &exporter.token else { return Ok(None) };
    let at = |message: &str| {
        let message = format!("the environment variable {} {message}", source.env);
        ConfigError::at("exporter.token.env", message)
    };
    let bytes = variable(&source.env).ok_or_else(|| at("is not set in Envoy's process"))?;
    let is_plain = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    let text = String::from_utf8(bytes).ok().filter(|_| is_plain);
    let text = text.ok_or_else(|| at("must hold letters, digits and signs only"))?;
    Ok(Some(Token(format!("Bearer {text}"))))
}
