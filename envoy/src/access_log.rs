//! Envoy's access log: one line of JSON for each request, from what the filter has cleaned.
//!
//! No query, no credential and no other header of the caller's is in it. Provider, model and trace
//! are those of the answer's `x-weir-…` headers, so they are there only with `response_headers`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use weir_settings::ConfigError;

/// Where the access log goes: `off`, `stdout`, or the absolute path of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
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

impl JsonSchema for AccessLog {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AccessLog".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "`off`, `stdout`, or the absolute path of a file.",
            "type": "string",
            "pattern": "^(off|stdout|/.+)$",
            "examples": ["off", "stdout", "/var/log/weir/access.log"],
        })
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

    /// The connection manager's access loggers.
    pub(crate) fn render(&self) -> Vec<Value> {
        let (name, mut config) = match self {
            Self::Off => return Vec::new(),
            Self::Stdout => (
                "envoy.access_loggers.stdout",
                json!({"@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"}),
            ),
            Self::File(path) => (
                "envoy.access_loggers.file",
                json!({
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": path,
                }),
            ),
        };
        if let Some(config) = config.as_object_mut() {
            config.insert("log_format".to_owned(), format());
        }
        vec![json!({"name": name, "typed_config": config})]
    }
}

fn format() -> Value {
    json!({
        "json_format": {
            "time": "%START_TIME%",
            "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "protocol": "%PROTOCOL%",
            "method": "%REQ(:METHOD)%",
            // By now that of the last attempt; the caller's where there was none.
            "path": "%REQ_WITHOUT_QUERY(:PATH)%",
            "status": "%RESPONSE_CODE%",
            "flags": "%RESPONSE_FLAGS%",
            "details": "%RESPONSE_CODE_DETAILS%",
            "duration_ms": "%DURATION%",
            "first_byte_ms": "%RESPONSE_DURATION%",
            "bytes_received": "%BYTES_RECEIVED%",
            "bytes_sent": "%BYTES_SENT%",
            "upstream": "%UPSTREAM_HOST%",
            "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
            "target": "%RESP(X-WEIR-MODEL)%",
            "trace_id": "%RESP(X-WEIR-TRACE-ID)%",
        },
        "omit_empty_values": true,
        "formatters": [{
            "name": "envoy.formatter.req_without_query",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
            },
        }],
    })
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

    #[test]
    fn no_query_and_no_header_of_the_callers_is_logged() {
        assert_eq!(AccessLog::Off.render(), Vec::<Value>::new());
        for log in [AccessLog::Stdout, AccessLog::File("/a".into())] {
            let text = log.render()[0]["typed_config"]["log_format"]["json_format"].to_string();
            let asked: Vec<&str> =
                text.split("%REQ").skip(1).filter_map(|rest| rest.split('%').next()).collect();
            assert_eq!(asked.len(), 2, "{asked:?}");
            assert!(asked.contains(&"(:METHOD)") && asked.contains(&"_WITHOUT_QUERY(:PATH)"), "{asked:?}");
        }
    }
}
