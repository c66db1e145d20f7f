//! What the page is served with, checked once.
//!
//! Whoever can reach the page can change where traces go, so wherever others may reach it a token is asked for.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use reqwest::Url;

use crate::{
    cli::Role,
    config::{
        ConfigError, ranged, tls_is_there,
        wire::{self, PageListen},
    },
    process::env::Env,
    secret::Secret,
    spans::{prices::Prices, resource::Resource},
};

/// The default address of the page.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4321);

/// Where its token is found where the file names no place.
const TOKEN: &str = "WEIR_PAGE_TOKEN";

/// The shortest token, in characters: what can be guessed at the rate that is let through is none.
const MIN_TOKEN: usize = 16;

/// The longest.
const MAX_TOKEN: usize = 512;

/// The most host names and links.
const MAX_NAMES: usize = 32;

/// What a link has in place of the trace's id.
pub const TRACE_ID: &str = "{trace_id}";

/// What the page is served with.
#[derive(Clone, Debug, PartialEq)]
pub struct PageSettings {
    /// Address and port; `None` where it is off.
    pub listen: Option<SocketAddr>,
    /// What is asked for at the login; `None` only where nobody else can come.
    pub token: Option<Secret>,
    /// Names by which it is reached, in lower case.
    pub hosts: Vec<String>,
    /// TLS on `listen`.
    pub tls: Option<wire::ServerTls>,
    /// How many requests are held.
    pub traces: usize,
    /// How many bytes they may have.
    pub traces_bytes: usize,
    /// Where a trace is found elsewhere, by label.
    pub links: BTreeMap<String, String>,
    /// What tokens cost.
    pub prices: Arc<Prices>,
    /// What spans belong to.
    pub resource: Resource,
}

impl PageSettings {
    pub(crate) fn checked(
        role: Role,
        written: &wire::Page,
        prices: &Arc<Prices>,
        resource: &Resource,
        env: &Env,
    ) -> Result<Self, ConfigError> {
        let listen = match written.listen {
            Some(PageListen::Off) => None,
            Some(PageListen::At(address)) => Some(address),
            None => Some(DEFAULT_LISTEN),
        };
        // Destinations and their ledgers are where it is shipped.
        let listen = listen.filter(|_| role.ships());
        let hosts = hosts(&written.hosts)?;
        let token = token(written, env)?;
        if let Some(address) = listen.filter(|_| token.is_none()) {
            let message = |why: String| format!("must be set, or {TOKEN}: {why}");
            if !address.ip().is_loopback() {
                let why = message(format!("page.listen {address} is not a loopback address"));
                return Err(ConfigError::at("page.token", why));
            }
            if !hosts.is_empty() {
                return Err(ConfigError::at("page.token", message("page.hosts lets others in".to_owned())));
            }
        }
        if let Some(tls) = written.tls.as_ref().filter(|_| listen.is_some()) {
            tls_is_there("page.tls", tls)?;
        }
        let traces = ranged("page.traces", written.traces, 1000, 0, 10_000)?;
        let bytes = written.traces_bytes.map_or(32 << 20, |size| size.0);
        if !(1 << 20..=1 << 30).contains(&bytes) {
            return Err(ConfigError::at("page.traces_bytes", "must be from 1MiB to 1GiB"));
        }
        Ok(Self {
            listen,
            token,
            hosts,
            tls: written.tls.clone(),
            traces: usize::try_from(traces).unwrap_or_default(),
            traces_bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            links: links(&written.links)?,
            prices: Arc::clone(prices),
            resource: resource.clone(),
        })
    }

    /// Whether only this machine's users have it, or nobody.
    pub(crate) fn is_local(&self) -> bool {
        self.listen.is_none_or(|address| address.ip().is_loopback()) && self.hosts.is_empty()
    }
}

fn token(written: &wire::Page, env: &Env) -> Result<Option<Secret>, ConfigError> {
    let (token, place) = match &written.token {
        Some(place) => (Some(Secret::find("page.token", place, env)?), "page.token"),
        None => (env.get(TOKEN)?.map(Secret::new), TOKEN),
    };
    let fits = |token: &Secret| {
        (MIN_TOKEN..=MAX_TOKEN).contains(&token.expose().len())
            && token.expose().bytes().all(|byte| byte.is_ascii_graphic())
    };
    if token.as_ref().is_some_and(|token| !fits(token)) {
        let message = format!("must be from {MIN_TOKEN} to {MAX_TOKEN} visible ASCII characters");
        return Err(ConfigError::at(place, message));
    }
    Ok(token)
}

fn hosts(written: &[String]) -> Result<Vec<String>, ConfigError> {
    if written.len() > MAX_NAMES {
        return Err(ConfigError::at("page.hosts", format!("may be {MAX_NAMES} at most")));
    }
    let host = |(place, name): (usize, &String)| {
        let fits = (1..=253).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        let message = "must be a name without scheme and port, such as weir.example.com";
        if fits {
            Ok(name.to_ascii_lowercase())
        } else {
            Err(ConfigError::at(format!("page.hosts[{place}]"), message))
        }
    };
    written.iter().enumerate().map(host).collect()
}

fn links(written: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    if written.len() > MAX_NAMES {
        return Err(ConfigError::at("page.links", format!("may be {MAX_NAMES} at most")));
    }
    for (label, link) in written {
        let filled = link.replace(TRACE_ID, &"0".repeat(32));
        let web = Url::parse(&filled).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !web || !link.contains(TRACE_ID) {
            let message = format!("must be an http:// or https:// URL with {TRACE_ID} in it");
            return Err(ConfigError::at(format!("page.links.{label}"), message));
        }
    }
    Ok(written.clone())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::{app::settings::Settings, cli::Cli};

    fn load(yaml: &str, variables: &[(&str, &str)]) -> Result<super::PageSettings, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        let cli = Cli::parse_from(["weir-exporter", "--config", file.path().to_str().unwrap()]);
        let loaded = Settings::load(cli.role(), &cli.flags, &variables.iter().copied().collect());
        loaded.map(|settings| settings.page).map_err(|error| error.to_string())
    }

    const LONG: (&str, &str) = ("WEIR_PAGE_TOKEN", "a-token-of-a-good-length");

    #[test]
    fn the_page_is_on_loopback_unless_it_is_told_otherwise_and_off_by_one_word() {
        assert_eq!(load("", &[]).unwrap().listen.unwrap().to_string(), "127.0.0.1:4321");
        assert_eq!(load("page: { listen: off }", &[]).unwrap().listen, None);
        let moved = load("", &[("WEIR_EXPORTER__PAGE__LISTEN", "127.0.0.1:9")]).unwrap();
        assert_eq!(moved.listen.unwrap().port(), 9);
        let refused = load("page: { listen: everywhere }", &[]).unwrap_err();
        assert!(refused.contains("page.listen") && refused.contains("or off"), "{refused}");
    }

    #[test]
    fn where_others_can_come_a_token_is_demanded() {
        for yaml in ["page: { listen: 0.0.0.0:4321 }", "page: { hosts: [weir.example.com] }"] {
            let refused = load(yaml, &[]).unwrap_err();
            assert!(refused.starts_with("page.token: must be set, or WEIR_PAGE_TOKEN"), "{refused}");
            assert!(load(yaml, &[LONG]).is_ok());
        }
    }

    #[test]
    fn a_token_that_could_be_guessed_or_cannot_be_typed_is_refused_without_being_shown() {
        for token in ["short", "with a space in the middle", "line-end-at-its-end\n"] {
            let refused = load("", &[("WEIR_PAGE_TOKEN", token)]).unwrap_err();
            assert!(refused.starts_with("WEIR_PAGE_TOKEN: must be from 16"), "{refused}");
            assert!(!refused.contains(token.trim()));
        }
    }

    #[test]
    fn a_link_without_a_place_for_the_trace_and_a_host_with_a_port_are_refused_by_field() {
        for (yaml, field) in [
            ("page: { links: { mw: 'https://x.example/traces' } }", "page.links.mw"),
            ("page: { links: { mw: 'javascript:alert({trace_id})' } }", "page.links.mw"),
            ("page: { hosts: ['a.example:80'] }", "page.hosts[0]"),
            ("page: { traces_bytes: 1KiB }", "page.traces_bytes"),
            ("page: { traces: 10001 }", "page.traces"),
        ] {
            let refused = load(yaml, &[LONG]).unwrap_err();
            assert!(refused.starts_with(field), "{refused}");
        }
        let good = load("page: { links: { mw: 'https://x.example/t/{trace_id}' } }", &[]).unwrap();
        assert_eq!(good.links.len(), 1);
    }
}
