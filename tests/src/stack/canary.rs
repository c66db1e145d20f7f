//! A canary search: a text that was used in a test stands in no place where it does not belong.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use crate::{
    stack::Stack,
    system::{process::Stopped, wait},
};

/// Pages of Envoy's admin interface that tell what it was configured with and what it has done.
const PAGES: [&str; 6] =
    ["/config_dump?include_eds", "/stats", "/clusters", "/listeners", "/server_info", "/certs"];

/// Stops everything, and fails where one of these texts stands in Envoy's admin pages or bootstrap, in a
/// log (Envoy's holds the filter's at debug level, and the access log where that goes to stdout), in the
/// exported bytes, or in one of `more`, each a place and what stands there.
///
/// # Panics
/// Then, or when a place has nothing in it.
pub async fn assert_nowhere(stack: &mut Stack, texts: &[&str], more: Vec<(String, String)>) {
    let mut places = more;
    for page in PAGES {
        places.push((page.to_owned(), stack.admin(page).await));
    }
    let bootstrap = std::fs::read_to_string(stack.envoy.process.dir().join("envoy.yaml"));
    places.push(("the bootstrap".to_owned(), bootstrap.expect("Envoy's bootstrap")));
    stack.assert_vm_is_well().await;
    // Envoy first, which still has to write, and to say, what it has buffered.
    for process in [&mut stack.envoy.process, &mut stack.exporter.process, &mut stack.nats.process] {
        let stopped = process.stop(wait::DEADLINE).await;
        assert!(matches!(stopped, Ok(Stopped::Gracefully(_))), "{}", process.name());
        places.push((format!("the log of {}", process.name()), process.log()));
    }
    let received = stack.otlp.received();
    assert!(!received.is_empty(), "nothing was exported");
    for received in received {
        let text = String::from_utf8_lossy(&received.body).into_owned();
        places.push(("the exported bytes".to_owned(), text));
    }
    for (place, found) in places {
        assert!(!found.is_empty(), "{place} is empty");
        for text in texts {
            assert!(!found.contains(text), "{text} stands in {place}:\n{found}");
        }
    }
}
