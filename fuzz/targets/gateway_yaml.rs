//! Reads gateway.yaml: it is accepted, or refused with a position; and what was accepted renders in every form,
//! to the same valid YAML each time.
#![no_main]

use std::collections::BTreeMap;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use weir_config::envoy::{Options, bootstrap, fragment, hot};
use weir_config::{Error, Gateway, envoy_gateway, istio};
use weir_filter::config::PluginConfig;

fuzz_target!(|yaml: &str| {
    let gateway = match Gateway::parse(yaml) {
        Ok(gateway) => gateway,
        Err(error) => {
            // In YAML a carriage return alone ends a line too.
            let lines = yaml.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            if let Some(place) = error.place() {
                let line: usize = place.to_string().split(':').next().unwrap().parse().expect("a line");
                assert!((1..=lines + 1).contains(&line), "{place} of {lines} lines: {error}");
            }
            assert!(!matches!(error, Error::MissingVariable { .. } | Error::Output(_)), "{error}");
            return assert!(error.to_string().len() > 4, "{error}");
        }
    };
    let plugin = gateway.plugin().expect("what was checked has a plugin's configuration");
    let written = serde_json::to_vec(&plugin).expect("which can be written");
    assert_eq!(PluginConfig::from_json(&written).expect("and read"), plugin);

    let options = istio::Options {
        namespace: "istio-ingress".to_owned(),
        selector: BTreeMap::from([("istio".to_owned(), "ingress".to_owned())]),
        hosts: vec!["*".to_owned()],
        image: "oci://registry.example/weir-filter:1".to_owned(),
        sha256: "0".repeat(64),
        gateway: None,
    };
    manifests(istio::istio(&gateway, &options));
    let options = Options { wasm: "/weir.wasm".into(), secrets_dir: None };
    if gateway.observes() {
        // Only a fragment for a proxy with its own routes.
        assert!(bootstrap(&gateway, &options).is_err());
        documents(&fragment(&gateway, &options).expect("what was checked can be rendered").bootstrap);
        let options = envoy_gateway::Options {
            namespace: "apps".to_owned(),
            gateway: "eg".to_owned(),
            image: "oci://registry.example/weir-filter:1".to_owned(),
            sha256: "0".repeat(64),
        };
        return manifests(envoy_gateway::envoy_gateway(&gateway, &options));
    }
    let dir = Path::new("/etc/weir/secrets");
    for secrets_dir in [None, Some(dir.to_owned())] {
        let options = Options { wasm: "/weir.wasm".into(), secrets_dir };
        let rendered = bootstrap(&gateway, &options).expect("what was checked can be rendered");
        assert_eq!(bootstrap(&gateway, &options).expect("again"), rendered);
        let read = documents(&rendered.bootstrap);
        assert!(read[0]["static_resources"]["listeners"].is_array());
        for (path, content) in &rendered.secrets {
            assert!(path.parent() == Some(dir), "{}", path.display());
            documents(content);
        }
        documents(&fragment(&gateway, &options).expect("and as parts").bootstrap);
    }
    documents(&hot(&gateway, &options, Path::new("/etc/weir/xds")).expect("and by files").bootstrap);
});

/// A mesh's manifests are valid YAML, or refused by field.
fn manifests(rendered: Result<String, istio::ManifestError>) {
    match rendered {
        Ok(manifests) => {
            for document in manifests.split("\n---\n") {
                documents(document);
            }
        }
        Err(istio::ManifestError::Field { field, message }) => {
            assert!(!field.is_empty() && !message.is_empty())
        }
        Err(error) => panic!("{error}"),
    }
}

fn documents(yaml: &str) -> Vec<Value> {
    vec![serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}:\n{yaml}"))]
}
