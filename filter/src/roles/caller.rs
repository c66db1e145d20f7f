//! Identifies the caller: by a token that Envoy has verified, by a key, or as anybody where neither is
//! required.

use std::rc::Rc;

use crate::auth::{Grant, Identity, RequestMetadata, check_no_other_credential, credential, is_short_text};
use crate::config::Config;
use crate::event::content::Content;
use crate::event::exchange::Exchange;
use crate::headers::Headers;
use crate::host::Host;
use crate::redaction::Export;
use crate::refusal::Refusal;

/// A caller and its grant.
#[derive(Debug)]
pub struct Known {
    /// What it may do.
    pub grant: Rc<Grant>,
    /// Who it is.
    pub identity: Identity,
}

/// Identifies the caller. A refusal is a 401.
pub fn identify(
    host: &impl Host,
    config: &Config,
    headers: &Headers,
    query: Option<&str>,
    now_ns: u64,
) -> Result<Known, Refusal> {
    if let Some(jwt) = &config.jwt {
        let claim = |claim: &str| {
            let value = (!claim.is_empty()).then(|| host.claim(&jwt.payload, claim)).flatten()?;
            // A shortened claim could name somebody else.
            String::from_utf8(value).ok().filter(|text| !text.is_empty() && is_short_text(text))
        };
        if let Some(user) = claim(&jwt.user_claim) {
            check_no_other_credential(headers, query).map_err(Refusal::bad_credential)?;
            let team = claim(&jwt.team_claim).unwrap_or_default();
            return Ok(Known {
                grant: Rc::clone(&jwt.grant),
                identity: Identity { user, team, ..Identity::default() },
            });
        }
    }
    if config.is_open() {
        return Ok(Known { grant: Rc::new(Grant::open()), identity: Identity::default() });
    }
    let secret = credential(headers, query).map_err(Refusal::bad_credential)?;
    let secret = secret.ok_or_else(Refusal::key_missing)?;
    let grant = config.keys.find(&secret, now_ns).map_err(Refusal::denied)?;
    let identity = Identity { key_name: grant.name.clone(), ..Identity::default() };
    Ok(Known { grant, identity })
}

/// Records the caller and the request's metadata, to be exported whatever becomes of the request. A verified
/// user wins over the one that the caller names.
pub fn record(exchange: &mut Exchange, known: &Known, said: RequestMetadata, export: Option<Export>) {
    exchange.content = Content::none(export);
    let caller = &mut exchange.caller;
    caller.key_name.clone_from(&known.identity.key_name);
    caller.team.clone_from(&known.identity.team);
    caller.user = if known.identity.user.is_empty() { said.user } else { known.identity.user.clone() };
    caller.conversation_id = said.conversation_id;
    caller.metadata = said.metadata;
}
