//! Where Envoy's access log goes.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_settings::ConfigError;

/// `off`, `stdout`, or the absolute path of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "String")]
#[schemars(with = "String", extend("pattern" = "^(off|stdout|/.+)$"))]
#[schemars(extend("examples" = ["off", "stdout", "/var/log/weir/access.log"]))]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    Off,
    /// To Envoy's standard output.
    Stdout,
    /// To a file, which Envoy makes where it is not there.
    File(PathBuf),
}

impl From<String> for AccessLog {
    fn from(text: String) -> Self {
        match text.as_str() {
            "off" => Self::Off,
            "stdout" => Self::Stdout,
            _ => Self::File(text.into()),
        }
    }
}

impl AccessLog {
    /// Checks it.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::File(path) if !path.is_absolute() || path.file_name().is_none() => {
                let message = format!("{path:?} is none of off, stdout and the absolute path of a file");
                Err(ConfigError::at("access_log", message))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<AccessLog, String> {
        let log: AccessLog = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        log.check().map_err(|error| error.to_string())?;
        Ok(log)
    }

    #[test]
    fn a_place_is_off_standard_output_or_an_absolute_path() {
        assert_eq!(read("off"), Ok(AccessLog::Off));
        assert_eq!(read("stdout"), Ok(AccessLog::Stdout));
        assert_eq!(read("/var/log/a.log"), Ok(AccessLog::File("/var/log/a.log".into())));
        for wrong in ["on", "a.log", "/", "\"\"", "STDOUT"] {
            assert!(read(wrong).unwrap_err().starts_with("access_log: "), "{wrong}");
        }
        assert!(read("[stdout]").is_err());
    }
}
