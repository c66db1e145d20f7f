//! A real Chromium, driven through chromedriver as a person would use it: clicks, keys, what can be read.
//!
//! Every browser has a profile of its own and is gone with its owner. Elements are found by what they say or by
//! CSS, and waited for.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource as _, KeyAction, KeyActions},
    elements::Element,
    key::Key,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    callers::client,
    system::{
        ports,
        process::{self, Process, Ready, Spec},
        tools, wait,
    },
};

/// How long anything on a page is waited for: a browser is the slowest there is on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a browser may take to end.
const END: Duration = Duration::from_secs(5);

/// A running browser with one window, and chromedriver.
pub struct Browser {
    /// The driver's client, for what is not here.
    pub client: Client,
    session: String,
    address: SocketAddr,
    // Dropped last: the browser ends before its driver.
    _driver: Process,
}

impl Browser {
    /// Starts one.
    pub async fn start() -> Self {
        let missing =
            "chromium and chromedriver: `make setup` installs them (Debian: chromium, chromium-driver)";
        let (Some(chromium), Some(chromedriver)) =
            (tools::in_path("chromium"), tools::in_path("chromedriver"))
        else {
            panic!("missing: {missing}");
        };
        let started = process::on_free_ports(|| async {
            let port = ports::free()?;
            let (args, ready) = (vec![format!("--port={port}").into()], Ready::Http(port, "/status"));
            let spec = Spec::new("chromedriver", chromedriver.clone(), args, ready);
            let driver = Process::start(spec, TempDir::with_prefix("weir-browser-")?).await?;
            Ok((driver, port))
        });
        let (driver, port) = started.await.unwrap_or_else(|error| panic!("{error}"));
        let profile = driver.dir().join("profile");
        // The sandbox needs what containers do not give, and there is no GPU.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,900",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { panic!("an object") };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&format!("http://{address}")).await;
        let client = client.expect("a browser");
        let session = client.session_id().await.expect("a session").expect("its id");
        Self { client, session, address, _driver: driver }
    }

    /// Opens a URL.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    /// Waits until this is there by its CSS selector.
    pub async fn find(&self, css: &str) -> Element {
        let look = || async { self.client.find(Locator::Css(css)).await.ok() };
        match wait::poll(PATIENCE, look).await {
            Some(element) => element,
            None => panic!("no {css} in:\n{}", self.text().await),
        }
    }

    /// Waits until a control of this kind says so, and clicks it.
    pub async fn click(&self, kind: &str, words: &str) {
        let xpath = format!("//{kind}[contains(normalize-space(.), {})]", quoted(words));
        let look = || async {
            let element = self.client.find(Locator::XPath(&xpath)).await.ok()?;
            element.click().await.ok()
        };
        if wait::poll(PATIENCE, look).await.is_none() {
            panic!("no {kind} that says {words:?} can be clicked in:\n{}", self.text().await);
        }
    }

    /// The control that this label belongs to, and that can be seen.
    pub async fn labelled(&self, label: &str) -> Element {
        let words = quoted(label);
        let xpath = format!("//*[@id = //label[normalize-space(.) = {words}]/@for or @aria-label = {words}]");
        let look = || async {
            for element in self.client.find_all(Locator::XPath(&xpath)).await.ok()? {
                if element.is_displayed().await.ok()? {
                    return Some(element);
                }
            }
            None
        };
        match wait::poll(PATIENCE, look).await {
            Some(element) => element,
            None => panic!("nothing is labelled {label:?} in:\n{}", self.text().await),
        }
    }

    /// Enters a text where this label says, in place of what was there.
    pub async fn enter(&self, label: &str, text: &str) {
        let element = self.labelled(label).await;
        element.clear().await.expect("an empty field");
        element.send_keys(text).await.expect("keys");
    }

    /// Presses a key wherever the focus is, as a keyboard does: what has it may be drawn anew meanwhile.
    pub async fn press(&self, key: Key) {
        let value = char::from(key);
        let pressed = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(pressed).await.expect("a key");
    }

    /// Waits until the page shows these words.
    pub async fn reads(&self, words: &str) {
        let look = || async { self.text().await.contains(words).then_some(()) };
        if wait::poll(PATIENCE, look).await.is_none() {
            panic!("{words:?} does not stand in:\n{}", self.text().await);
        }
    }

    /// What can be read on the page.
    pub async fn text(&self) -> String {
        let text = self.script("return document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// What a script gives.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect("a script's value")
    }

    /// What an asynchronous script hands to its last argument.
    pub async fn later(&self, script: &str) -> Value {
        self.client.execute_async(script, Vec::new()).await.expect("a script's value")
    }

    /// Sends a command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.send("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// What the browser has logged since this was asked last: errors of scripts, of the security policy, of loading.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.send("se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        severe.filter_map(|entry| entry["message"].as_str().map(str::to_owned)).collect()
    }

    async fn send(&self, path: &str, body: Value) -> Value {
        let url = format!("http://{}/session/{}/{path}", self.address, self.session);
        let answer = client::http().post(url).body(body.to_string()).send().await.expect("an answer");
        let answer = answer.bytes().await.expect("a body");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        answer["value"].clone()
    }
}

/// A text within XPath, which has no escapes.
fn quoted(text: &str) -> String {
    assert!(!text.contains('"'), "no words with double quotes");
    format!("\"{text}\"")
}

impl Drop for Browser {
    /// Ends the browser; a driver that is killed would leave it behind.
    fn drop(&mut self) {
        let end = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect_timeout(&self.address, END)?;
            stream.set_read_timeout(Some(END))?;
            let session = &self.session;
            write!(
                stream,
                "DELETE /session/{session} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )?;
            stream.read(&mut [0; 64]).map(drop)
        };
        // One that has ended already is as good.
        let _ = end();
    }
}
