//! Envoy's access log: one line of JSON for each request, from what the filter has cleaned.
//!
//! No query, no credential and no other header of the caller's is in it. Provider, model and trace
//! are those of the response's `x-weir-…` headers, so they are there only with `response_headers`.

use serde_json::{Value, json};

use crate::gateway::AccessLog;
use crate::yaml::set;

/// The connection manager's access loggers.
pub(crate) fn render(log: &AccessLog) -> Vec<Value> {
    let (name, mut config) = match log {
        AccessLog::Off => return Vec::new(),
        AccessLog::Stdout => (
            "envoy.access_loggers.stdout",
            json!({"@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"}),
        ),
        AccessLog::File(path) => (
            "envoy.access_loggers.file",
            json!({
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": path,
            }),
        ),
    };
    set(&mut config, "log_format", format());
    vec![json!({"name": name, "typed_config": config})]
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

    #[test]
    fn no_query_and_no_header_of_the_callers_is_logged() {
        assert_eq!(render(&AccessLog::Off), Vec::<Value>::new());
        for log in [AccessLog::Stdout, AccessLog::File("/a".into())] {
            let text = render(&log)[0]["typed_config"]["log_format"]["json_format"].to_string();
            let asked: Vec<&str> =
                text.split("%REQ").skip(1).filter_map(|rest| rest.split('%').next()).collect();
            assert_eq!(asked.len(), 2, "{asked:?}");
            assert!(asked.contains(&"(:METHOD)") && asked.contains(&"_WITHOUT_QUERY(:PATH)"), "{asked:?}");
        }
    }
}
