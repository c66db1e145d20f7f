//! A disk that is full: what NATS acknowledged before stays, what it cannot keep stays with its sender.

use std::time::Duration;

use weir_tests::{
    callers::source::Source,
    fakes::otlp::{Endpoint, Reply},
    stack::nats::Nats,
    system::{tmpfs::Tmpfs, wait},
};

use super::rig::{self, QUICK, destination, is_long, settled};

/// The disk at first, and later, in MiB.
const SMALL: usize = 24;
const LARGE: usize = 192;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_that_was_acknowledged_and_refuses_the_rest_until_there_is_room() {
    let disk = match Tmpfs::mount(SMALL) {
        Ok(disk) => disk,
        Err(error) => {
            assert!(!rustix::process::geteuid().is_root(), "root mounts a tmpfs: {error}");
            eprintln!("left out, for only root may mount a small disk: {error}");
            return;
        }
    };
    let mut nats = Nats::storing_in(disk.path()).await.unwrap_or_else(|error| panic!("{error}"));
    let backend = Endpoint::counting().await;
    let config = format!("{QUICK}{}", destination(&backend, ""));
    let exporter = rig::exporter(&nats.url(), &config).await;
    let rounds = if is_long() { 2 } else { 1 };
    let mut source = Source::new().of_bytes(8000);
    let mut ids = Vec::new();
    for round in 0..rounds {
        backend.answer(Reply::status(503));
        let refused = loop {
            let batch = source.batch(100);
            ids.extend(batch.ids.clone());
            match batch.post(&exporter.url()).await {
                Ok((200, _)) => {}
                _ => break batch,
            }
            assert!(ids.len() * 8000 < (round + 1) * (LARGE << 20), "the disk took {} events", ids.len());
        };
        // It stays so, and callers are told, for as long as there is no room.
        assert!(!matches!(refused.post(&exporter.url()).await, Ok((200, _))));
        disk.resize(LARGE * (round + 1)).expect("a larger disk");
        nats.process.kill();
        nats.process.restart().await.expect("NATS is back");
        refused.store(&exporter.url()).await;
        backend.answer(Reply::Take);
        backend.wait_for_events_within(&ids, wait::DEADLINE * 4).await;
        let ledger = settled(&exporter, "d", ids.len()).await;
        assert_eq!((ledger.delivered, ledger.evicted), (ids.len() as u64, 0), "{ledger:?}");
    }
    assert_eq!(backend.events(), ids.len());
    exporter_still_well(&exporter).await;
}

async fn exporter_still_well(exporter: &weir_tests::stack::exporter::Exporter) {
    let ready = wait::poll(Duration::from_secs(60), || async {
        let status = weir_tests::system::probe::status(exporter.admin_port, "/readyz").await;
        matches!(status, Ok(200)).then_some(())
    });
    ready.await.expect("it is ready again");
}
