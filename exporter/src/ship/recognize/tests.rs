use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use prost::Message as _;
use reqwest::Url;
use serde_json::{Value, json};
use weir_event::{
    fixtures::streamed,
    v1::{Content, Output},
};

use super::*;

const NAME: &str = "Ann Lee";
const CITY: &str = "Łódź";

/// Answers as Presidio analyzer 2.2 does, and knows one person and one city.
#[derive(Clone, Default)]
struct Presidio {
    asked: Arc<Mutex<Vec<Value>>>,
    answer: Option<(u16, &'static str)>,
}

async fn analyze(State(presidio): State<Presidio>, Json(asked): Json<Value>) -> (StatusCode, String) {
    presidio.asked.lock().unwrap().push(asked.clone());
    if let Some((status, body)) = presidio.answer {
        return (StatusCode::from_u16(status).unwrap(), body.to_owned());
    }
    if asked["language"] != "en" {
        let error = json!({"error": "No matching recognizers were found to serve the request."});
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    }
    let text = asked["text"].as_str().unwrap();
    let mut found = Vec::new();
    for (entity, word) in [("PERSON", NAME), ("LOCATION", CITY)] {
        let is_wanted = asked["entities"].as_array().is_none_or(|all| all.contains(&json!(entity)));
        for (at, _) in text.match_indices(word).filter(|_| is_wanted) {
            let start = text.split_at(at).0.chars().count();
            found.push(json!({"analysis_explanation": null, "entity_type": entity, "score": 0.85,
                "start": start, "end": start + word.chars().count()}));
        }
    }
    (StatusCode::OK, Value::from(found).to_string())
}

async fn recognizer(presidio: &Presidio, change: impl FnOnce(&mut RecognizerSettings)) -> Recognizer {
    crate::install_provider();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/analyze", listener.local_addr().unwrap());
    let router = Router::new().route("/analyze", post(analyze)).with_state(presidio.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut settings = RecognizerSettings {
        url: Url::parse(&url).unwrap(),
        language: "en".to_owned(),
        entities: Vec::new(),
        score: 0.5,
        timeout: Duration::from_secs(10),
        when_away: WhenAway::Wait,
    };
    change(&mut settings);
    Recognizer::new(&settings).unwrap()
}

fn holds(event: &TraceEvent, text: &str) -> bool {
    String::from_utf8_lossy(&event.encode_to_vec()).contains(text)
}

fn event(capture: Capture) -> TraceEvent {
    let mut event = streamed();
    let said = format!("😀 I am {NAME} from {CITY}");
    let body = json!({"messages": [{"role": "user", "content": said}], "model": "m"});
    event.content = Some(Content {
        capture: capture.into(),
        request: body.to_string().into(),
        outputs: vec![Output { text: format!("Hello {NAME}!"), ..Output::default() }],
        error_message: format!("{NAME} is unknown"),
        ..Content::default()
    });
    let parameters = event.request.as_mut().unwrap().parameters.get_or_insert_default();
    parameters.stop_sequences = vec![format!("{NAME}:")];
    event
}

#[tokio::test]
async fn names_are_replaced_wherever_content_is_and_counted() {
    let presidio = Presidio::default();
    let recognizer = recognizer(&presidio, |_| {}).await;
    let mut event = event(Capture::Kept);
    recognizer.search(&mut event).await.unwrap();
    assert!(!holds(&event, NAME) && !holds(&event, CITY));
    let content = event.content.unwrap();
    assert_eq!(content.capture(), Capture::Redacted);
    let body: Value = serde_json::from_slice(&content.request).unwrap();
    assert_eq!(body["messages"][0]["content"], "😀 I am [PERSON] from [LOCATION]");
    assert_eq!(content.outputs[0].text, "Hello [PERSON]!");
    assert_eq!(event.request.unwrap().parameters.unwrap().stop_sequences, ["[PERSON]:"]);
    let found: Vec<_> = event.redactions.iter().map(|one| (one.detector.as_str(), one.count)).collect();
    assert!(found.ends_with(&[("recognizer_location", 1), ("recognizer_person", 4)]), "{found:?}");
    // All texts of an event in one request.
    let asked = presidio.asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0]["language"], &asked[0]["score_threshold"]), (&json!("en"), &json!(0.5)));
    assert_eq!(asked[0].get("entities"), None);
}

#[tokio::test]
async fn only_what_is_asked_for_is_replaced_and_an_event_without_content_is_not_sent() {
    let presidio = Presidio::default();
    let recognizer = recognizer(&presidio, |one| one.entities = vec!["PERSON".to_owned()]).await;
    let mut kept = event(Capture::Kept);
    recognizer.search(&mut kept).await.unwrap();
    assert!(holds(&kept, CITY) && !holds(&kept, NAME));
    let mut excluded = event(Capture::Excluded);
    recognizer.search(&mut excluded).await.unwrap();
    assert_eq!(excluded, event(Capture::Excluded));
    assert_eq!(presidio.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_not_searched_is_an_error_without_content_and_the_event_is_as_it_was() {
    for (answer, expected) in [
        ((500, r#"{"error":"Ann Lee"}"#), "the recognizer answers HTTP 500"),
        ((302, ""), "the recognizer answers HTTP 302"),
        ((200, r#"{"error":"Ann Lee"}"#), "the recognizer's answer is no list of matches"),
        (
            (200, r#"[{"entity_type":"PERSON","start":0,"end":99999,"score":1}]"#),
            "the recognizer's answer does not fit the text",
        ),
    ] {
        let presidio = Presidio { answer: Some(answer), ..Presidio::default() };
        let recognizer = recognizer(&presidio, |_| {}).await;
        let mut searched = event(Capture::Kept);
        assert_eq!(recognizer.search(&mut searched).await.unwrap_err(), expected);
        assert_eq!(searched, event(Capture::Kept));
    }
    let away = recognizer(&Presidio::default(), |one| one.url.set_port(Some(1)).unwrap()).await;
    let why = away.search(&mut event(Capture::Kept)).await.unwrap_err();
    assert_eq!(why, "the recognizer cannot be reached");
    let other = recognizer(&Presidio::default(), |one| one.language = "xx".to_owned()).await;
    assert!(other.search(&mut event(Capture::Kept)).await.is_err());
}

/// Against a Presidio analyzer of one's own, which knows names by a model.
#[tokio::test]
#[ignore = "needs WEIR_PRESIDIO_URL, such as http://127.0.0.1:5002/analyze"]
async fn a_presidio_analyzer_finds_names_and_places() {
    let url = std::env::var("WEIR_PRESIDIO_URL").unwrap();
    let recognizer = recognizer(&Presidio::default(), |one| one.url = Url::parse(&url).unwrap()).await;
    let mut event = event(Capture::Kept);
    let said = "😀 My name is John Smith and I live in Paris.";
    event.content.as_mut().unwrap().outputs[0].text = said.to_owned();
    recognizer.search(&mut event).await.unwrap();
    assert_eq!(event.content.unwrap().outputs[0].text, "😀 My name is [PERSON] and I live in [LOCATION].");
}
