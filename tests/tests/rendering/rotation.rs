//! A key's file that is replaced while Envoy runs.

use std::{fs, os::unix::fs::symlink, path::Path};

use tempfile::TempDir;
use weir_tests::stack::{Options, Stack};

async fn start(key: &Path) -> Stack {
    let key = key.to_owned();
    let options = Options::default().yaml(move |wiring| {
        format!(
            "listen: {}\n\
             admin: {}\n\
             providers:\n\
             \x20 openai: {{ api: openai, url: \"http://{}/v1\", key: {{ file: {} }} }}\n\
             models: {{ gpt-4o: {{ targets: [{{ provider: openai }}] }} }}\n",
            wiring.gateway.listen,
            wiring.gateway.admin,
            wiring.provider,
            key.display(),
        )
    });
    options.start().await
}

/// Asks until the provider sees this key, and fails when a request is lost on the way.
async fn until_the_provider_sees(stack: &Stack, key: &str) {
    let expected = format!("Bearer {key}");
    let seen = weir_tests::system::wait::poll(weir_tests::system::wait::DEADLINE, || async {
        stack.chat().await;
        (stack.provider.last().await.header("authorization") == Some(&expected)).then_some(())
    });
    assert!(seen.await.is_some(), "the provider never saw {key}\n{}", stack.envoy.process.log_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_file_is_replaced_is_used_from_then_on_and_stands_nowhere() {
    let dir = TempDir::new().expect("a directory");
    let file = dir.path().join("key");
    fs::write(&file, "sk-canary-first\n").expect("a key");
    let stack = start(&file).await;
    stack.chat().await;
    assert_eq!(stack.provider.last().await.header("authorization"), Some("Bearer sk-canary-first"));

    let next = dir.path().join("next");
    fs::write(&next, "sk-canary-second\n").expect("another key");
    fs::rename(&next, &file).expect("the file is replaced");
    until_the_provider_sees(&stack, "sk-canary-second").await;

    for text in [stack.admin("/config_dump?include_eds").await, stack.envoy.process.log()] {
        assert!(!text.is_empty() && !text.contains("sk-canary"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_kubernetes_swaps_is_used_from_then_on() {
    let dir = TempDir::new().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    for (version, key) in [("..1", "sk-canary-first"), ("..2", "sk-canary-second")] {
        fs::create_dir(at(version)).expect("a version");
        fs::write(at(version).join("key"), key).expect("its key");
    }
    symlink("..1", at("..data")).expect("a link");
    symlink("..data/key", at("key")).expect("a link");
    let stack = start(&at("key")).await;
    stack.chat().await;
    assert_eq!(stack.provider.last().await.header("authorization"), Some("Bearer sk-canary-first"));

    symlink("..2", at("..data_tmp")).expect("a link");
    fs::rename(at("..data_tmp"), at("..data")).expect("the link is swapped");
    until_the_provider_sees(&stack, "sk-canary-second").await;
}
