//! HTTP/2 from callers that keep to no rule.

use bytes::Bytes;
use h2::{Reason, client::SendRequest};
use tokio::net::TcpStream;
use weir_tests::{fakes::provider::Answer, stack::question};

use crate::setting::Hostile;

/// Streams of one connection.
const STREAMS: usize = 300;

async fn connect(hostile: &Hostile) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(hostile.address()).await.expect("a connection");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    // Envoy may end it: that is what a storm of resets deserves.
    tokio::spawn(async move { drop(connection.await) });
    client
}

fn request(hostile: &Hostile) -> http::Request<()> {
    http::Request::post(hostile.stack.url("/v1/chat/completions"))
        .header("content-type", "application/json")
        .body(())
        .expect("a request")
}

/// Opens streams and resets each at once, or after its body, until the connection is ended.
async fn reset_rapidly(hostile: &Hostile, with_body: bool) {
    let mut client = connect(hostile).await;
    for _ in 0..STREAMS {
        let Ok(ready) = client.ready().await else { return };
        client = ready;
        let Ok((response, mut sender)) = client.send_request(request(hostile), false) else { return };
        if with_body {
            let _ = sender.send_data(question().to_string().into(), true);
            tokio::task::yield_now().await;
        }
        sender.send_reset(Reason::CANCEL);
        drop(response);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rapid_resets_leave_no_state_behind() {
    let hostile = Hostile::start("{}").await;
    for with_body in [false, true] {
        let what = if with_body { "resets behind the body" } else { "resets behind the head" };
        hostile
            .withstands(what, || async {
                futures_util::future::join_all((0..5).map(|_| reset_rapidly(&hostile, with_body))).await;
            })
            .await;
    }
    hostile.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_in_the_middle_of_an_answer_leave_no_state_behind() {
    let hostile = Hostile::start("{}").await;
    hostile.stack.provider.answers_by(|received| {
        let held = received.header("accept") == Some("text/event-stream");
        let stream = Answer::stream("openai/chat_stream.sse");
        if held { stream.holding_after(300) } else { Answer::json("openai/chat.json") }
    });
    hostile
        .withstands("resets in the middle of answers", || async {
            let client = connect(&hostile).await;
            let mut open = Vec::new();
            for _ in 0..50 {
                let mut client = client.clone().ready().await.expect("room for a stream");
                let (mut head, ()) = request(&hostile).into_parts();
                head.headers.insert("accept", http::HeaderValue::from_static("text/event-stream"));
                let (response, mut sender) =
                    client.send_request(http::Request::from_parts(head, ()), false).expect("a stream");
                sender.send_data(question().to_string().into(), true).expect("the body");
                open.push((response, sender));
            }
            for (response, mut sender) in open {
                let mut body = response.await.expect("an answer").into_body();
                body.data().await.expect("a piece").expect("of the answer");
                sender.send_reset(Reason::INTERNAL_ERROR);
            }
        })
        .await;
    hostile.ledgers_agree().await;
}
