//! The login: one token, exchanged for a session in a cookie.
//!
//! The token is compared by digest and in constant time, wrong ones are counted ([`super::attempts`]), sessions are
//! few, end when they are not used, and are known here by their digest alone. Programs may send the token itself
//! as `Authorization: Bearer`.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, COOKIE},
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    attempts::{Attempts, Sender},
    device::{self, Devices},
};
use crate::{http::server::Peer, page::respond::Refusal, secret::Secret};

/// The cookie's name.
pub(in crate::page) const NAME: &str = "weir_session";

/// Sessions at once; the one unused for longest makes room.
const MAX_SESSIONS: usize = 64;

/// A session that is not used ends after this time.
const IDLE: Duration = Duration::from_secs(8 * 3600);

/// Every session ends after this time.
pub(in crate::page) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The longest name that somebody gives, in characters.
pub(in crate::page) const MAX_NAME: usize = 64;

type Hash = [u8; 32];

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::page) struct Who {
    name: String,
    session: Option<Hash>,
}

impl Who {
    /// How they were authenticated.
    pub(in crate::page) fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Debug)]
struct Session {
    name: String,
    since: Instant,
    used: Instant,
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.since) < LONGEST
    }
}

#[derive(Debug, Default)]
struct Remembered {
    sessions: HashMap<Hash, Session>,
    attempts: Attempts,
}

/// Who is logged in.
pub(in crate::page) struct Login {
    token: Option<Hash>,
    devices: Devices,
    remembered: Mutex<Remembered>,
}

impl Login {
    /// One that asks for this token; without any, everybody who can connect is let in.
    pub(in crate::page) fn new(token: Option<&Secret>) -> Self {
        let token = token.map(|token| digest(token.expose().as_bytes()));
        Self { devices: Devices::new(&token.unwrap_or_default()), token, remembered: Mutex::default() }
    }

    /// Who sends these headers.
    ///
    /// # Errors
    ///
    /// 401 where nobody is logged in, 429 after too many wrong tokens.
    pub(in crate::page) fn who(&self, headers: &HeaderMap, peer: Peer) -> Result<Who, Refusal> {
        if self.token.is_none() {
            return Ok(Who { name: "this machine".to_owned(), session: None });
        }
        if let Some(value) = headers.get(AUTHORIZATION) {
            let token = value.as_bytes().split_at_checked("Bearer ".len());
            let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
            self.compare(token.map_or(b"", |(_, token)| token), headers, peer, Instant::now())?;
            return Ok(Who { name: "token".to_owned(), session: None });
        }
        let session = cookie(headers, NAME).map(|value| digest(value.as_bytes()));
        let who = session.and_then(|session| self.session(session, Instant::now()));
        who.ok_or_else(|| Refusal::new(StatusCode::UNAUTHORIZED, "log in first"))
    }

    /// Whether who asked is still logged in.
    pub(in crate::page) fn still(&self, who: &Who) -> bool {
        who.session.is_none_or(|session| {
            self.lock().sessions.get(&session).is_some_and(|one| one.lives(Instant::now()))
        })
    }

    /// Ends the session of who asked.
    pub(in crate::page) fn end(&self, who: &Who) {
        if let Some(session) = &who.session {
            self.lock().sessions.remove(session);
        }
    }

    /// Whether a token is asked for.
    pub(in crate::page) fn asks_for_token(&self) -> bool {
        self.token.is_some()
    }

    fn session(&self, hash: Hash, now: Instant) -> Option<Who> {
        let mut remembered = self.lock();
        let session = remembered.sessions.get_mut(&hash).filter(|session| session.lives(now))?;
        session.used = now;
        Some(Who { name: session.name.clone(), session: Some(hash) })
    }

    /// Compares a token, unless whoever sends it has to wait.
    ///
    /// # Errors
    ///
    /// 401 where it is not the token, 429 after too many wrong ones.
    pub(in crate::page) fn compare(
        &self,
        token: &[u8],
        headers: &HeaderMap,
        peer: Peer,
        now: Instant,
    ) -> Result<(), Refusal> {
        let device = cookie(headers, device::NAME).and_then(|value| self.devices.of(value));
        let sender = device.map_or_else(|| Sender::at(peer), Sender::Device);
        let mut remembered = self.lock();
        if let Some(left) = remembered.attempts.left(sender, now) {
            let left = left.as_secs().max(1);
            let message = format!("too many wrong tokens: try again in {left} s");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, message).after(left));
        }
        if self.token.is_some_and(|expected| bool::from(digest(token).ct_eq(&expected))) {
            return Ok(());
        }
        remembered.attempts.wrong(sender, now);
        Err(Refusal::new(StatusCode::UNAUTHORIZED, "this is not the token").of_field("token"))
    }

    /// The cookie of a device that has logged in: the one that it has, or a new one.
    pub(in crate::page) fn device(&self, headers: &HeaderMap) -> Option<String> {
        let known = cookie(headers, device::NAME).filter(|value| self.devices.of(value).is_some());
        known.map(str::to_owned).or_else(|| self.devices.issue())
    }

    /// Begins a session; gives the cookie's value.
    pub(in crate::page) fn begin(&self, name: String, now: Instant) -> Result<String, Refusal> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the system has no randomness"))?;
        let value: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut remembered = self.lock();
        remembered.sessions.retain(|_, session| session.lives(now));
        if remembered.sessions.len() >= MAX_SESSIONS
            && let Some(oldest) =
                remembered.sessions.iter().min_by_key(|(_, one)| one.used).map(|(key, _)| *key)
        {
            remembered.sessions.remove(&oldest);
        }
        remembered.sessions.insert(digest(value.as_bytes()), Session { name, since: now, used: now });
        Ok(value)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use axum::{http::HeaderValue, response::IntoResponse as _};

    use super::*;
    use crate::page::auth::attempts::{MAX_WRONG, WAIT};

    const TOKEN: &str = "a-token-of-a-good-length";

    fn login() -> Login {
        Login::new(Some(&Secret::new(TOKEN)))
    }

    fn from(address: &str) -> Peer {
        Peer(Some(address.parse().unwrap()))
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(axum::http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn only_the_whole_token_begins_a_session_and_its_cookie_ends_with_it() {
        let login = login();
        let peer = from("192.0.2.1");
        assert!(login.who(&HeaderMap::new(), peer).is_err());
        let value = login.begin("ada".to_owned(), Instant::now()).unwrap();
        let sent = with("cookie", &format!("other=1; {NAME}={value}"));
        let who = login.who(&sent, peer).unwrap();
        assert_eq!(who.name, "ada");
        assert!(login.still(&who));
        assert!(login.who(&with("cookie", &format!("{NAME}={value}0")), peer).is_err());
        login.lock().sessions.clear();
        assert!(login.who(&sent, peer).is_err() && !login.still(&who));
    }

    #[test]
    fn a_session_ends_when_it_is_not_used_and_in_any_case_after_a_day() {
        let (login, start) = (login(), Instant::now());
        let value = login.begin(String::new(), start).unwrap();
        let hash = digest(value.as_bytes());
        assert!(login.session(hash, start + IDLE - Duration::from_secs(1)).is_some());
        assert!(login.session(hash, start + IDLE + Duration::from_secs(1)).is_some());
        assert!(login.session(hash, start + 3 * IDLE).is_none());
        let mut at = start;
        let value = login.begin(String::new(), start).unwrap();
        while at < start + LONGEST {
            assert!(login.session(digest(value.as_bytes()), at).is_some());
            at += IDLE / 2;
        }
        assert!(login.session(digest(value.as_bytes()), at).is_none());
    }

    #[test]
    fn sessions_are_few() {
        let (login, now) = (login(), Instant::now());
        let first = login.begin(String::new(), now).unwrap();
        for second in 0..200 {
            login.begin(String::new(), now + Duration::from_millis(second)).unwrap();
        }
        assert_eq!(login.lock().sessions.len(), MAX_SESSIONS);
        assert!(login.session(digest(first.as_bytes()), now).is_none());
    }

    #[test]
    fn wrong_tokens_lock_out_the_guesser_and_not_those_at_its_address_who_logged_in_before() {
        let (login, now, office) = (login(), Instant::now(), from("192.0.2.1"));
        let nobody = HeaderMap::new();
        let session = with("cookie", &format!("{NAME}={}", login.begin("ada".to_owned(), now).unwrap()));
        let known = with("cookie", &format!("a=b; {}={}", device::NAME, login.device(&nobody).unwrap()));
        let compare = |token: &str, headers: &HeaderMap, peer| {
            let compared = login.compare(token.as_bytes(), headers, peer, now);
            compared.map_or_else(|refusal| refusal.into_response().status().as_u16(), |()| 204)
        };
        for _ in 0..MAX_WRONG {
            assert_eq!(compare("wrong", &nobody, office), 401);
        }
        // Even with the token: else guesses would go on.
        let refused = login.compare(TOKEN.as_bytes(), &nobody, office, now).unwrap_err().into_response();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &HeaderValue::from(60))
        );
        let forged = with("cookie", &format!("{}={}", device::NAME, "0".repeat(96)));
        assert_eq!(compare(TOKEN, &forged, office), 429);
        assert!(login.who(&session, office).is_ok());
        assert_eq!((compare(TOKEN, &known, office), compare(TOKEN, &nobody, from("192.0.2.2"))), (204, 204));
        assert!(login.compare(TOKEN.as_bytes(), &nobody, office, now + WAIT).is_ok());
        // Nor is a device a way to guess on.
        for _ in 0..MAX_WRONG {
            assert_eq!(compare("wrong", &known, from("192.0.2.3")), 401);
        }
        assert_eq!((compare(TOKEN, &known, office), compare(TOKEN, &nobody, from("192.0.2.3"))), (429, 204));
        assert_eq!(login.device(&known), cookie(&known, device::NAME).map(str::to_owned));
    }

    #[test]
    fn a_program_may_send_the_token_itself() {
        let login = login();
        let peer = from("192.0.2.1");
        assert!(login.who(&with("authorization", &format!("Bearer {TOKEN}")), peer).is_ok());
        for wrong in ["Bearer wrong", TOKEN, "Basic x", "Bearer "] {
            assert!(login.who(&with("authorization", wrong), peer).is_err(), "{wrong}");
        }
    }
}
