//! What ingest takes, in which form, and what it does not.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use weir_tests::{callers::source::Source, stack::nats::Nats};

use super::rig::{self, QUICK, Rig, destination, settled, status};
use weir_tests::fakes::otlp::Endpoint;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_larger_than_nats_takes_arrives_compressed_and_whole() {
    let rig = Rig::start().await;
    // NATS takes 1 MiB.
    let ids = Source::new().of_bytes(3 << 20).store(&rig.exporter.url(), 2).await;
    rig.backend.wait_for_events(&ids).await;
    let ledger = rig.settled(2).await;
    assert_eq!(ledger.delivered, 2);
    let told = status(&rig.exporter).await;
    assert_eq!(
        (&told["ingest"]["compressed"], &told["ingest"]["stripped"]),
        (&2.into(), &0.into()),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_even_so_loses_its_content_and_is_counted() {
    let nats = Nats::configured("max_payload: 8192\n", &[]).await.unwrap_or_else(|error| panic!("{error}"));
    let backend = Endpoint::counting().await;
    let exporter = rig::exporter(&nats.url(), &format!("{QUICK}{}", destination(&backend, ""))).await;
    let mut source = Source::new();
    let small = source.store(&exporter.url(), 1).await;
    let mut noisy = Source::new().of_bytes(200_000);
    let ids = noisy.store(&exporter.url(), 1).await;
    backend.wait_for_events(&[small, ids].concat()).await;
    settled(&exporter, "d", 2).await;
    let told = status(&exporter).await;
    assert_eq!(told["ingest"]["stripped"], 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_takes_batches_without_a_token() {
    let (nats, backend) = (rig::nats().await, Endpoint::counting().await);
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("ingest.sock");
    let config = format!(
        "{QUICK}ingest: {{ socket: \"{}\", token: {{ file: token }} }}\n{}",
        socket.display(),
        destination(&backend, "")
    );
    let token = dir.path().join("token");
    std::fs::write(&token, "t0ken-canary\n").expect("a file");
    let config = config.replace("file: token", &format!("file: \"{}\"", token.display()));
    let exporter = rig::exporter(&nats.url(), &config).await;
    let batch = Source::new().batch(3);
    let (status, _) = batch.post(&exporter.url()).await.expect("an answer");
    assert_eq!(status, 401);
    let mut stream = UnixStream::connect(&socket).await.expect("a connection");
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        batch.body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("a head");
    stream.write_all(&batch.body).await.expect("a body");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    backend.wait_for_events(&batch.ids).await;
    settled(&exporter, "d", 3).await;
    let told = super::rig::status(&exporter).await.to_string() + &rig::metrics(&exporter).await;
    assert!(!told.contains("canary") && !exporter.process.log().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_answered_503_and_what_is_sent_again_arrives_once() {
    let (nats, backend) = (rig::nats().await, Endpoint::counting().await);
    let config = format!(
        "{QUICK}ingest: {{ max_body: 64KiB, max_in_flight: 128KiB, max_batches_per_second: 50 }}\n{}",
        destination(&backend, "")
    );
    let exporter = rig::exporter(&nats.url(), &config).await;
    let url = exporter.url();
    let all = futures_util::future::join_all((0..20).map(|_| async {
        let (mut source, mut refused, mut ids) = (Source::new(), 0, Vec::new());
        for _ in 0..10 {
            let batch = source.batch(20);
            while batch.post(&url).await.expect("an answer").0 == 503 {
                refused += 1;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            ids.extend(batch.ids);
        }
        (refused, ids)
    }))
    .await;
    assert!(all.iter().map(|(refused, _)| refused).sum::<usize>() > 0);
    let ids: Vec<String> = all.into_iter().flat_map(|(_, ids)| ids).collect();
    backend.wait_for_events(&ids).await;
    let ledger = settled(&exporter, "d", ids.len()).await;
    assert_eq!(ledger.delivered, 4000);
    ledger.tells_what_came_twice_to(&backend);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_of_the_next_version_sends_is_taken_and_arrives() {
    let rig = Rig::start().await;
    let ids = Source::new().newer().store(&rig.exporter.url(), 3).await;
    rig.backend.wait_for_events(&ids).await;
    assert_eq!(rig.settled(3).await.delivered, 3);
}
