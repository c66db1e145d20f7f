use super::*;
use crate::balancing::TargetIds;
use crate::config::PluginConfig;
use crate::event::vm::{ENTROPY, Vm};
use crate::json::scan::parsed;

/// How often a body with this text is parsed until it is decided on.
fn times_parsed(text: &str) -> u32 {
    let json = br#"{"providers": {"p": {"api": "openai", "url": "http://h"}},
        "redaction": {"forwarded": {"action": "mask", "restore": true, "detectors": ["email"]}}}"#;
    let plugin = PluginConfig::from_json(json).unwrap();
    let config = Config::new(&plugin, &mut TargetIds::default()).unwrap();
    let vm = Vm::new(&[7; ENTROPY]);
    let body = format!(r#"{{"model":"p/m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let call = Call::of(b"POST", "/v1/chat/completions").unwrap();
    let (caller, grant, headers) = (v1::Caller::default(), Grant::open(), Headers::default());
    let before = parsed();
    let question = Question {
        config: &config,
        memory: &vm.memory,
        targets: &vm.targets,
        random: &vm.random,
        call: &call,
        caller: &caller,
        grant: &grant,
        headers: &headers,
        body: body.as_bytes(),
        now_ns: 0,
        clock: &|| 0,
    };
    assert!(decide(&question, None).outcome.is_ok());
    parsed() - before
}

#[test]
fn a_body_is_parsed_once_and_once_more_where_something_in_it_was_replaced() {
    assert_eq!(times_parsed("nothing to find"), 1);
    assert_eq!(times_parsed("jo@example.com"), 2);
}
