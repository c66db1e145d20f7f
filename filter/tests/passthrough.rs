//! Requests beyond the known calls, on a mock host: they are passed through if both the provider and the
//! caller's key grant it.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use std::rc::Rc;

use weir_event::v1;
use weir_filter::host::Step;
use weir_filter::roles::Role as _;
use weir_filter::roles::attempt::Attempt;

use host::Stream;

const WITH_KEY: (&str, &str) = ("authorization", "Bearer secret");

/// Providers that grant everything beyond calls, for a key with the same grants.
const GRANTS: &str = r#"{
    "providers": {
        "a": {"api": "openai", "url": "http://10.0.0.1/a", "grants": ["stored", "files", "batches", "paths"]},
        "b": {"api": "openai", "url": "http://10.0.0.2/b", "grants": ["batches"]},
        "plain": {"api": "openai", "url": "http://10.0.0.3/plain"},
        "claude": {"api": "anthropic", "url": "https://claude.example", "grants": ["batches"]}
    },
    "models": {"both": {"targets": [{"provider": "plain", "model": "mp"}, {"provider": "a", "model": "ma"}]},
               "plain": {"targets": [{"provider": "plain"}]}},
    "keys": [{"name": "team-a", "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
              "models": ["both", "plain", "a/*", "claude/*"], "grants": ["stored", "files", "batches", "paths"]}],
    "exporter": {"cluster": "weir.exporter", "authority": "exporter"}
}"#;

/// A request to the gateway of [`GRANTS`] whose headers have arrived.
fn passing(config: &str, headers: &[(&str, &str)]) -> (Stream, Step) {
    let mut stream = Stream::with(config, headers, b"");
    let step = stream.gateway.on_request_headers(&stream.host, false);
    (stream, step)
}

/// Status and code of a request that is refused.
fn not_passed(config: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (stream, step) = passing(config, headers);
    assert_eq!(step, Step::Hold, "{headers:?}");
    let (status, error) = stream.host.refused();
    (status, error["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn what_both_grant_is_passed_through_unheld_and_unread() {
    let path = "/v1/files/file-1/content?limit=2&key=secret&x=%2F";
    let more = [("x-weir-provider", "a"), ("content-type", "a/b"), ("content-length", "7"), ("cookie", "c")];
    let (mut stream, step) =
        passing(GRANTS, &[&[(":method", "PUT"), (":path", path), WITH_KEY], more.as_slice()].concat());
    assert_eq!(step, Step::Continue);
    assert_eq!(stream.host.state.borrow()["weir.cluster"], b"provider.a");
    assert_eq!(stream.gateway.on_request_body(&stream.host, 7, false), Step::Continue);
    let mut attempt = Attempt::new(Rc::clone(&stream.vm));
    assert_eq!(attempt.on_request_headers(&stream.host, false), Step::Continue);
    assert_eq!(attempt.on_request_body(&stream.host, 7, true), Step::Continue);
    let names: Vec<String> =
        stream.host.request_headers.borrow().iter().map(|(key, _)| key.clone()).collect();
    let expected =
        [":method", ":scheme", ":authority", ":path", "content-type", "content-length", "traceparent"];
    assert_eq!(names, expected);
    assert_eq!(stream.host.header(":method").as_deref(), Some("PUT"));
    assert_eq!(stream.host.header(":path").as_deref(), Some("/a/files/file-1/content?limit=2&x=%2F"));
    assert_eq!(stream.host.header("content-length").as_deref(), Some("7"));

    stream.host.details = "via_upstream".to_owned();
    let calls = stream.host.calls.get();
    stream.respond(&mut attempt, "200", "text/event-stream", &["data: {\"id\":\"x\"}\n\n", "more"]);
    // Headers of both roles, and times: no piece of the body.
    assert!(stream.host.calls.get() - calls <= 7, "{}", stream.host.calls.get() - calls);
    let event = stream.event().unwrap();
    let (request, response) = (event.request.as_ref().unwrap(), event.response.as_ref().unwrap());
    assert_eq!((request.api(), request.operation.as_str()), (v1::Api::Passthrough, ""));
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/v1/files/file-1/content"));
    assert_eq!((request.route.as_str(), request.body_bytes), ("/v1/files/*", 7));
    assert_eq!((response.status, response.body_bytes, response.id.as_str()), (200, 22, ""));
    assert_eq!((event.ending(), event.attempts.len()), (v1::Ending::Completed, 1));
    assert_eq!(event.attempts[0].path, "/a/files/file-1/content");
}

#[test]
fn the_provider_is_the_one_that_is_named_or_the_only_one_that_speaks_the_api_and_grants_it() {
    let cluster = |path: &str, named: &[(&str, &str)]| {
        let (stream, step) = passing(GRANTS, &[&[(":path", path), WITH_KEY], named].concat());
        assert_eq!(step, Step::Continue, "{path}");
        String::from_utf8(stream.host.state.borrow()["weir.cluster"].clone()).unwrap()
    };
    assert_eq!(cluster("/v1/files", &[]), "provider.a");
    assert_eq!(cluster("/v1/responses/r/cancel", &[]), "provider.a");
    assert_eq!(cluster("/v1/messages/batches", &[]), "provider.claude");
    assert_eq!(cluster("/v1/batches", &[("x-weir-provider", "a")]), "provider.a");
    assert_eq!(cluster("/v1/whatever", &[]), "provider.a");
    let post = |path| vec![(":path", path), WITH_KEY];
    assert_eq!(not_passed(GRANTS, &post("/v1/batches")), (400, "ambiguous_provider".to_owned()));
    assert_eq!(not_passed(GRANTS, &post("/v2/datasets")).0, 404, "no provider of Cohere's kind");
    for name in ["plain", "b", "nobody", ""] {
        let headers = [post("/v1/files"), vec![("x-weir-provider", name)]].concat();
        assert_eq!(not_passed(GRANTS, &headers), (404, "not_granted".to_owned()), "{name}");
    }
}

#[test]
fn a_grant_of_one_side_alone_is_none() {
    let files = [(":method", "GET"), (":path", "/v1/files"), WITH_KEY];
    let key = GRANTS.replace(r#""claude/*"], "grants": ["stored", "files","#, r#""claude/*"], "grants": ["#);
    assert_ne!(key, GRANTS);
    assert_eq!(not_passed(&key, &files), (404, "not_granted".to_owned()));
    let provider = GRANTS.replace(r#"/a", "grants": ["stored", "files", "batches", "paths"]"#, r#"/a""#);
    assert_eq!(not_passed(&provider, &files), (404, "unknown_path".to_owned()));
    assert_eq!(not_passed(GRANTS, &[(":path", "/v1/files")]), (401, "missing_key".to_owned()));
    // A request that may concern any model needs them all; one for stored items does not.
    let some = GRANTS.replace(r#""a/*""#, r#""a/gpt-4o""#);
    for path in ["/v1/files", "/v1/batches", "/v1/other"] {
        let headers = [(":path", path), WITH_KEY, ("x-weir-provider", "a")];
        assert_eq!(not_passed(&some, &headers), (403, "model_not_allowed".to_owned()), "{path}");
    }
    let stored = [(":method", "GET"), (":path", "/v1/responses/r"), WITH_KEY];
    assert_eq!(passing(&some, &stored).1, Step::Continue);
    // Where everybody may call, the provider's grant suffices.
    let (before, keys) = GRANTS.split_once(r#""keys""#).unwrap();
    let (_, after) = keys.split_once(r#""exporter""#).unwrap();
    let open = format!("{before}\"exporter\"{after}");
    assert_eq!(passing(&open, &[(":path", "/v1/files")]).1, Step::Continue);
    assert_eq!(passing(&open, &[(":path", "/v1/files"), ("x-weir-provider", "b")]).1, Step::Hold);
}

#[test]
fn what_has_two_readings_or_is_a_call_of_the_table_is_not_passed_through() {
    for path in ["/v1/files/%2e%2e/x", "/v1/files/a%2Fb", "/v1//files", "/v1/files/", "/v1/files/..;/x", "*"]
    {
        assert_eq!(
            not_passed(GRANTS, &[(":path", path), WITH_KEY]),
            (404, "unknown_path".to_owned()),
            "{path}"
        );
    }
    let method = |method, path| not_passed(GRANTS, &[(":method", method), (":path", path), WITH_KEY]);
    assert_eq!(method("CONNECT", "/v1/files").0, 404);
    assert_eq!(method("GET", "/v1/chat/completions"), (405, "method_not_allowed".to_owned()));
    assert_eq!(method("DELETE", "/v1/models"), (405, "method_not_allowed".to_owned()));
}

#[test]
fn a_request_is_passed_through_by_the_downstream_filter_alone_too() {
    let config = GRANTS.replacen('{', r#"{"upstream_filter": false, "#, 1);
    let (mut stream, step) = passing(&config, &[(":method", "DELETE"), (":path", "/v1/files/f"), WITH_KEY]);
    assert_eq!(step, Step::Continue);
    assert_eq!(stream.host.header(":path").as_deref(), Some("/a/files/f"));
    assert_eq!(stream.host.header("authorization"), None);
    stream.host.details = "via_upstream".to_owned();
    *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), b"404".to_vec())];
    stream.gateway.on_response_headers(&stream.host, true);
    assert_eq!(stream.event().unwrap().attempts[0].status, 404);
}

#[test]
fn what_is_passed_through_says_where_something_stands_and_speaks_no_more_for_the_host() {
    let (mut stream, _) = passing(GRANTS, &[(":method", "GET"), (":path", "/v1/files/f/content"), WITH_KEY]);
    stream.attempt();
    stream.host.details = "via_upstream".to_owned();
    let headers = [
        (":status", "206"),
        ("content-range", "bytes 0-1/2"),
        ("location", "/v1/files/g"),
        ("set-cookie2", "a=1"),
        ("x-weir-model", "a/b"),
    ];
    stream.receive(&headers, b"x", &[1]);
    let headers = stream.host.response_headers.borrow();
    let names: Vec<&str> = headers.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(names[..3], [":status", "content-range", "location"]);
    assert!(!names.contains(&"set-cookie2"), "{names:?}");
    let models: Vec<_> = headers.iter().filter(|(key, _)| key == "x-weir-model").collect();
    assert!(models.len() == 1 && models[0].1 == b"a", "{models:?}");
}

#[test]
fn a_body_that_refers_to_what_is_stored_goes_only_where_that_is_granted() {
    let ask = |config: &str, model: &str| {
        let body = format!(r#"{{"model":"{model}","input":"x","previous_response_id":"resp_1"}}"#);
        let mut stream = Stream::with(config, &[(":path", "/v1/responses"), WITH_KEY], body.as_bytes());
        match stream.arrive() {
            Step::Continue => {
                let cluster = stream.host.state.borrow()["weir.cluster"].clone();
                (200, String::from_utf8(cluster).unwrap())
            }
            Step::Hold => {
                let (status, error) = stream.host.refused();
                (status, error["code"].as_str().unwrap().to_owned())
            }
        }
    };
    assert_eq!(ask(GRANTS, "both"), (200, "provider.a".to_owned()), "the first target does not grant it");
    assert_eq!(ask(GRANTS, "plain"), (403, "not_granted".to_owned()));
    let key = GRANTS.replace(r#""claude/*"], "grants": ["stored","#, r#""claude/*"], "grants": ["#);
    assert_eq!(ask(&key, "both"), (403, "not_granted".to_owned()));
}

#[test]
fn a_member_that_names_what_is_stored_needs_its_own_grant_of_key_and_provider() {
    let ask = |config: &str, path: &str, model: &str, members: &str| {
        let body = format!(r#"{{"model":"{model}",{members}}}"#);
        let path = path.replace("{model}", &model.replace('/', "%2F"));
        let mut stream = Stream::with(config, &[(":path", &path), WITH_KEY], body.as_bytes());
        match stream.arrive() {
            Step::Continue => Ok(stream.host.state.borrow()["weir.cluster"].clone()),
            Step::Hold => {
                let (status, error) = stream.host.refused();
                assert_eq!(status, 403, "{error}");
                Err(error["message"].as_str().unwrap().split(", and").next().unwrap().to_owned())
            }
        }
    };
    let item = r#""input":[{"type":"item_reference","id":"msg_1"}]"#;
    let prompt = r#""prompt":{"id":"pmpt_1"}"#;
    let file = r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]"#;
    let vectors = r#""input":"x","tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]"#;
    let needs = |member: &str, grant: &str| {
        Err(format!(
            "{member}: refers to what is stored at the provider. Both your key and the provider must grant \
             \"{grant}\""
        ))
    };
    let without = |grant: &str| {
        let key = r#""claude/*"], "grants": ["stored", "files", "#;
        let others = key.replace(&format!("\"{grant}\", "), "");
        let config = GRANTS.replace(key, &others);
        assert_ne!(config, GRANTS);
        config
    };
    for (members, member, grant) in [
        (item, "item_reference", "stored"),
        (prompt, "prompt.id", "stored"),
        (vectors, "vector_store_ids", "stored"),
        (file, "file_id", "files"),
    ] {
        let ask = |config: &str, model: &str| ask(config, "/v1/responses", model, members);
        assert_eq!(
            ask(GRANTS, "both"),
            Ok(b"provider.a".to_vec()),
            "the first target grants none: {members}"
        );
        assert_eq!(ask(GRANTS, "plain"), needs(member, grant));
        assert_eq!(ask(&without(grant), "both"), needs(member, grant));
        let other = if grant == "files" { "stored" } else { "files" };
        assert_eq!(ask(&without(other), "both"), Ok(b"provider.a".to_vec()));
    }
    let claude = |members: &str| ask(GRANTS, "/v1/messages", "claude/c", members);
    assert_eq!(claude(r#""messages":[],"container":"container_1""#), needs("container", "stored"));
    let source =
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]"#;
    assert_eq!(claude(source), needs("file_id", "files"));
    let arguments =
        r#""messages":[{"role":"assistant","content":[{"type":"tool_use","input":{"file_id":"f"}}]}]"#;
    assert_eq!(claude(arguments), Ok(b"provider.claude".to_vec()));
}

#[test]
fn a_form_reaches_its_target_with_the_targets_model_and_every_other_byte() {
    let form = |model: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"secret.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\nRIFF\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\
             {model}\r\n--b--\r\n"
        )
    };
    let content_type = ("content-type", "multipart/form-data; boundary=b");
    let headers = [(":path", "/v1/audio/transcriptions"), content_type];
    let mut stream = Stream::new(&headers, form("m").as_bytes());
    assert_eq!(stream.arrive(), Step::Continue);
    let mut attempt = stream.attempt();
    assert_eq!(*stream.host.request_body.borrow(), form("upstream-m").into_bytes());
    assert_eq!(stream.host.header("content-length").unwrap(), form("upstream-m").len().to_string());
    assert_eq!(stream.host.header(":path").unwrap(), "/base/v1/audio/transcriptions");
    assert_eq!(stream.host.header("content-type").as_deref(), Some(content_type.1));
    stream.respond(&mut attempt, "200", "application/json", &[r#"{"text":"x"}"#]);
    let event = stream.event().unwrap();
    assert!(!format!("{event:?}").contains("secret"), "a file's name is content");
    let request = event.request.unwrap();
    assert_eq!((request.api(), request.model.as_str()), (v1::Api::OpenaiTranscription, "m"));
    let [file] = request.files.as_slice() else { panic!("one file") };
    assert_eq!((file.field.as_str(), file.media_type.as_str(), file.bytes), ("file", "audio/wav", 4));

    let (over, named) = (form(&"x".repeat(1000)), form("m").replace("name=\"file\"; ", "name=\"Model\"; "));
    for (body, content_type, status) in [
        (over.as_str(), content_type.1, 413),
        (named.as_str(), content_type.1, 400),
        (r#"{"model":"m"}"#, "application/json", 415),
        (form("m").as_str(), "multipart/form-data", 400),
        (form("nope").as_str(), content_type.1, 404),
    ] {
        let headers = [(":path", "/v1/audio/transcriptions"), ("content-type", content_type)];
        let mut stream = Stream::new(&headers, body.as_bytes());
        stream.arrive();
        assert_eq!(stream.host.refused().0, status, "{content_type}");
    }
}
