//! The window itself: the login, the keyboard, a narrow one, and many requests.

use fantoccini::key::Key;
use serde_json::{Value, json};
use weir_tests::{
    callers::{browser::Browser, source::Source},
    system::wait,
};

use crate::rig::{Rig, TOKEN};

#[tokio::test]
async fn with_a_wrong_token_one_is_refused_with_the_right_one_let_in_and_after_the_logout_out() {
    let rig = Rig::start(&[("WEIR_PAGE_TOKEN", TOKEN)]).await;
    let browser = Browser::start().await;
    browser.open(&rig.exporter.page("/#/settings")).await;
    browser.reads("Log in to Weir").await;
    assert!(!browser.text().await.contains("otlp"), "something is told before the login");
    browser.enter("Token", "not-the-token-at-all").await;
    browser.click("button", "Log in").await;
    browser.reads("This is not the token.").await;
    browser.enter("Token", TOKEN).await;
    browser.press(Key::Enter).await;
    browser.reads("OTEL Config").await;
    browser.reads("delivering").await;
    assert_eq!(browser.script("return document.cookie").await, "");
    browser.click("button", "Log out").await;
    browser.reads("Log in to Weir").await;
    let again = "fetch('/api/destinations').then((answer) => arguments[0](answer.status))";
    assert_eq!(browser.later(again).await, 401);
}

#[tokio::test]
async fn a_thousand_requests_are_a_list_that_the_keyboard_walks_and_a_few_rows_of_it_are_there() {
    let rig = Rig::start(&[]).await;
    Source::new().store(&rig.exporter.url(), 1000).await;
    rig.wait_for("/api/traces?limit=1", |list| list["matching"] == 1000).await;
    let browser = Browser::start().await;
    browser.open(&rig.exporter.page("/#/traces")).await;
    browser.find(".rows .tr").await;
    browser.reads("the latest 1,000 requests").await;
    let rows = "return document.querySelectorAll('.rows .tr').length";
    assert!(browser.script(rows).await.as_u64().expect("a number") < 80);
    let last = "const list = document.querySelector('.rows'); list.scrollTop = list.scrollHeight; \
                return list.scrollHeight > 20 * list.clientHeight";
    assert_eq!(browser.script(last).await, true);
    let at_end = || async {
        let last =
            "return [...document.querySelectorAll('.rows .tr')].some((row) => row.dataset.at === '999')";
        (browser.script(last).await == true).then_some(())
    };
    wait::poll(wait::DEADLINE, at_end).await.expect("the last row");
    assert!(browser.script(rows).await.as_u64().expect("a number") < 80);

    browser.script("document.querySelector('.rows').focus()").await;
    for key in [Key::Home, Key::Down, Key::Down, Key::Up, Key::Enter] {
        browser.press(key).await;
    }
    let list = rig.get("/api/traces?limit=2").await;
    let second = list["requests"][1]["trace_id"].as_str().expect("an id").to_owned();
    browser.reads(&second).await;
    browser.reads("gen_ai.request.model").await;
    browser.script("history.back()").await;
    browser.find(".rows .tr").await;
    assert_eq!(browser.complaints().await, [] as [&str; 0]);
}

#[tokio::test]
async fn at_400_pixels_every_view_fits_and_the_tab_key_reaches_what_can_be_clicked() {
    let rig = Rig::start(&[]).await;
    Source::new().store(&rig.exporter.url(), 5).await;
    let list = rig.wait_for("/api/traces", |list| list["matching"] == 5).await;
    let trace = format!("#/traces/{}", list["requests"][0]["id"].as_str().expect("an id"));
    let browser = Browser::start().await;
    let narrow = json!({ "width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": false });
    browser.devtools("Emulation.setDeviceMetricsOverride", narrow).await;
    for (view, words) in [
        ("#/overview", "Where every event is"),
        ("#/traces", "the latest 5 requests"),
        (trace.as_str(), "gen_ai.request.model"),
        ("#/dead-letters", "No dead letters"),
        ("#/settings", "Who changed what"),
        ("#/add-destination", "Exclude Request Data"),
    ] {
        browser.open(&rig.exporter.page(&format!("/{view}"))).await;
        browser.reads(words).await;
        let width = browser.script("return document.documentElement.scrollWidth").await;
        assert!(width.as_u64().is_some_and(|width| width <= 400), "{view} is {width} wide");
    }
    browser.open(&rig.exporter.page("/#/overview")).await;
    browser.reads("Where every event is").await;
    let mut reached = Vec::new();
    for _ in 0..14 {
        browser.press(Key::Tab).await;
        let focus = "const it = document.activeElement; return [it.textContent.trim() || it.getAttribute('aria-label'), \
                     getComputedStyle(it).outlineStyle !== 'none']";
        let focus = browser.script(focus).await;
        assert_eq!(focus[1], true, "the focus on {} cannot be seen", focus[0]);
        reached.push(focus[0].clone());
    }
    for wished in ["Skip to content", "Traces", "OTEL Config", "Light or dark", "by provider", "15 min"] {
        assert!(reached.contains(&Value::from(wished)), "{wished} is not among {reached:?}");
    }
    // A label for each control, and one heading for each view.
    browser.open(&rig.exporter.page("/#/add-destination")).await;
    browser.find("form").await;
    let unlabelled = "return [...document.querySelectorAll('input, select, textarea')].filter((one) => \
                      !one.labels?.length && !one.getAttribute('aria-label')).map((one) => one.outerHTML)";
    assert_eq!(browser.script(unlabelled).await, json!([]));
    assert_eq!(browser.script("return document.querySelectorAll('main h1').length").await, 1);
}
