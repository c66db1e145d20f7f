//! The decision about one request: which model, whether the caller may use it, and which targets it
//! goes to in which order. Everything is in memory; nothing waits.

use std::rc::Rc;

use weir_event::v1;

use crate::api::{Api, Call, Feature};
use crate::auth::Grant;
use crate::balancing::{Facts, Strategy, order};
use crate::config::{Config, Failover, NoPassage, VirtualModel};
use crate::duration::Duration;
use crate::event::content::Content;
use crate::event::exchange::{Decision, Exchange};
use crate::event::vm::Vm;
use crate::headers::{Headers, name};
use crate::host::Host;
use crate::json::edit::{BodyEdits, Edits, ModelEdit};
use crate::redaction::Export;
use crate::refusal::Refusal;
use crate::request::body::Body;
use crate::response::redact::Returning;
use crate::routing::attempts::Plan;

/// Longest time that a caller may ask for, in ms.
const TIMEOUT_MAX_MS: u64 = 3_600_000;

/// What is asked.
pub struct Question<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What this VM knows of the targets.
    pub vm: &'a Vm,
    /// What is called.
    pub call: &'a Call,
    /// What the caller may do.
    pub grant: &'a Grant,
    /// The request's headers.
    pub headers: &'a Headers,
    /// The request's whole body.
    pub body: &'a [u8],
    /// Unix time in ns.
    pub now_ns: u64,
    /// The same, asked anew.
    pub clock: &'a dyn Fn() -> u64,
}

/// What was decided.
#[derive(Debug)]
pub struct Decided {
    /// What the attempts need.
    pub decision: Decision,
    /// The cluster of the first attempt.
    pub cluster: String,
    /// What Envoy is told about this request.
    pub orders: Orders,
    /// How many characters the request's texts have.
    pub characters: u64,
    /// Whether its body is JSON, and so can be part of an event.
    pub is_json: bool,
    /// The body that is sent in place of the caller's, where something in it must not be.
    pub body: Option<Vec<u8>>,
    /// How its content is told; absent: not at all.
    pub export: Option<Export>,
    /// What is done with its answer; absent: nothing.
    pub returning: Option<Returning>,
}

/// What Envoy's router is told about one request, beside where it goes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// How many attempts may follow the first.
    pub retries: u32,
    /// Longest time for one attempt until its first token, in ms.
    pub try_timeout_ms: Option<u64>,
    /// Longest time for the whole request, in ms.
    pub timeout_ms: Option<u64>,
    /// The pause before another attempt, where it is not the usual one.
    pub backoff: Option<Duration>,
}

impl Orders {
    /// Gives the orders, and has the route chosen by the filter state as it is now.
    pub fn send(&self, host: &impl Host) {
        if *self == Self::default() {
            return host.reroute();
        }
        if let Some(backoff) = self.backoff.filter(|_| self.retries > 0) {
            host.set_state(name::STATE_BACKOFF, backoff.to_string().as_bytes());
        }
        // A change of headers has the route chosen anew too.
        host.set_request_header(name::ENVOY_MAX_RETRIES, self.retries.to_string().as_bytes());
        for (name, ms) in
            [(name::ENVOY_TRY_TIMEOUT, self.try_timeout_ms), (name::ENVOY_TIMEOUT, self.timeout_ms)]
        {
            if let Some(ms) = ms {
                host.set_request_header(name, ms.to_string().as_bytes());
            }
        }
    }
}

/// Decides, and notes on the exchange what was asked and decided, as far as it came.
pub fn decide(question: &Question<'_>, exchange: &mut Exchange) -> Result<Decided, Refusal> {
    let content_type = question.headers.get(name::CONTENT_TYPE).unwrap_or_default();
    let body = Body::read(question.call, content_type, question.body)?;
    exchange.request.model.clone_from(&body.model);
    exchange.request.stream = body.stream;
    exchange.request.parameters = Some(body.parameters.clone());
    exchange.request.files.clone_from(&body.files);
    if let Some((member, feature)) = body.references.missing(|feature| question.grant.features.has(feature)) {
        return Err(Refusal::reference_not_granted(member, feature));
    }
    let resolved = question.config.resolve(&body.model).ok_or_else(|| Refusal::unknown_model(&body.model))?;
    let family = question.call.api.family();
    let redaction = question.config.redaction.as_ref();
    let policies = redaction
        .map(|redaction| redaction.policies(&question.grant.name, &body.model, question.headers))
        .unwrap_or_default();
    let export = Export::new(redaction, policies.exported, family);
    // From here on the model's policy holds, also where the request is refused.
    exchange.content = Content::none(export.clone());
    if !question.grant.models.allows(&body.model) {
        return Err(Refusal::model_not_allowed(&body.model));
    }
    let (mut sent, mut restorer) = (None, None);
    if let Some(redaction) = redaction.filter(|redaction| redaction.searches(&policies.forwarded)) {
        exchange.timing.redacting_ns = (question.clock)();
        let searched = match &body.form {
            Some(_) => redaction.unreadable(&policies.forwarded).map(|()| None),
            None => redaction.forward(&policies.forwarded, family, question.body).map(Some),
        };
        exchange.timing.redacted_ns = (question.clock)();
        if let Some(searched) = searched? {
            sent = searched.body;
            exchange.redactions = searched.found;
            restorer = searched.restorer;
        }
    }
    let returning = redaction
        .and_then(|redaction| Returning::new(redaction, policies.returned, restorer, question.call.api));
    let body = match &sent {
        Some(sent) => Body::read(question.call, content_type, sent)?,
        None => body,
    };
    let bytes = sent.as_deref().unwrap_or(question.body);
    let model = resolved.model;
    let chosen = in_order(question, &model, exchange);
    exchange.resolution = Some(v1::Resolution {
        rule: resolved.rule,
        targets: u32::try_from(model.routes.len()).unwrap_or(u32::MAX),
        strategy: strategy_name(&model).to_owned(),
    });
    let mut routes = Vec::with_capacity(chosen.len());
    let mut edits = Vec::with_capacity(chosen.len());
    let mut asks_for_usage = Vec::with_capacity(chosen.len());
    let usage_edit = body.usage_edit(question.call.api);
    let mut withheld = None;
    let targets_max = if question.config.upstream_filter { usize::MAX } else { 1 };
    for route in chosen.into_iter().filter_map(|index| model.routes.get(index)) {
        if !route.kind().serves(question.call.api) || routes.len() >= targets_max {
            continue;
        }
        if let Some(missing) = body.references.missing(|feature| route.grants(feature)) {
            withheld = Some(missing);
            continue;
        }
        let (json, required) = route.model_in_body(question.call.api);
        if let Some(form) = &body.form {
            // The parameters of a target are JSON's; a form has the caller's alone.
            let replaced = form.model_edits(&route.model, required);
            edits.push(replaced.ok_or_else(|| Refusal::no_target(&body.model))?);
            routes.push(Rc::clone(route));
            continue;
        }
        let model_edit = ModelEdit { json: &json, at: &body.model_at, required };
        let usage = usage_edit.as_ref().filter(|_| route.include_usage());
        let wanted = Edits { model: Some(model_edit), params: Some(&route.params), usage };
        asks_for_usage.push(usage.is_some());
        edits.push(BodyEdits::new(bytes, &body.object, &wanted));
        routes.push(Rc::clone(route));
    }
    let Some(first) = routes.first() else {
        let refusal = |(member, feature)| Refusal::reference_not_granted(member, feature);
        return Err(withheld.map_or_else(|| Refusal::no_target(&body.model), refusal));
    };
    let cluster = first.cluster().to_owned();
    let follows_up = question.config.upstream_filter;
    let failover = match follows_up {
        true => Rc::clone(&model.failover),
        false => Rc::new(Failover { attempts: 1, ..(*model.failover).clone() }),
    };
    let plan = Plan::new(routes, failover);
    let first_token = model.timeouts.first_token.filter(|_| body.stream && follows_up);
    let orders = Orders {
        retries: plan.retries_max(),
        try_timeout_ms: first_token.map(Duration::as_ms),
        timeout_ms: timeout(question.headers, &model)?,
        backoff: model.backoff,
    };
    let decision = Decision {
        call: question.call.clone(),
        plan,
        edits,
        body_bytes: bytes.len(),
        asks_for_usage,
        forwarded: Vec::new(),
        baggage: None,
        hold_for_token: first_token.is_some(),
        time_limit_ms: orders.timeout_ms,
        hurried: question.headers.get(name::WEIR_TIMEOUT_MS).is_some(),
    };
    let (characters, is_json) = (body.object.text_bytes() as u64, body.form.is_none());
    Ok(Decided { decision, cluster, orders, characters, is_json, export, returning, body: sent })
}

/// Decides about a request that is passed through: whether key and provider grant its feature, and
/// which provider it goes to.
pub fn pass(
    config: &Config,
    grant: &Grant,
    feature: Feature,
    call: &Call,
    headers: &Headers,
) -> Result<Decided, Refusal> {
    if !grant.features.has(feature) {
        return Err(Refusal::feature_not_granted(feature));
    }
    let named = headers.get(name::WEIR_PROVIDER).map(String::from_utf8_lossy);
    let model = config.passage(feature, call.api.family(), named.as_deref()).map_err(|why| match why {
        NoPassage::Unknown => Refusal::unknown_path(),
        NoPassage::NotGranted => Refusal::feature_not_granted(feature),
        NoPassage::Ambiguous => Refusal::ambiguous_provider(),
    })?;
    let route = model.routes.first().ok_or_else(Refusal::unknown_path)?;
    let api = Api::Passthrough(route.kind().family());
    let mut returning = None;
    if let Some(redaction) = &config.redaction {
        // What is passed through is not read, so what must not be sent cannot be found in it.
        let policies = redaction.policies(&grant.name, "", headers);
        let may_have_body = !matches!(headers.get(name::METHOD), Some(b"GET" | b"HEAD" | b"DELETE"));
        if may_have_body && redaction.searches(&policies.forwarded) {
            redaction.unreadable(&policies.forwarded)?;
        }
        returning = Returning::new(redaction, policies.returned, None, api);
    }
    if feature.is_for_any_model() && !grant.models.allows(&format!("{}/", route.provider())) {
        return Err(Refusal::needs_every_model(route.provider()));
    }
    let decision = Decision {
        call: Call { api, ..call.clone() },
        plan: Plan::new(vec![Rc::clone(route)], Rc::clone(&model.failover)),
        edits: Vec::new(),
        body_bytes: 0,
        asks_for_usage: Vec::new(),
        forwarded: Vec::new(),
        baggage: None,
        hold_for_token: false,
        time_limit_ms: None,
        hurried: headers.get(name::WEIR_TIMEOUT_MS).is_some(),
    };
    let orders = Orders { timeout_ms: timeout(headers, &model)?, ..Orders::default() };
    let cluster = route.cluster().to_owned();
    let (body, export) = (None, None);
    Ok(Decided { decision, cluster, orders, characters: 0, is_json: false, body, export, returning })
}

fn in_order(question: &Question<'_>, model: &VirtualModel, exchange: &Exchange) -> Vec<usize> {
    let caller = &exchange.caller;
    let facts = Facts {
        metadata: &caller.metadata,
        key_name: &caller.key_name,
        user: &caller.user,
        conversation: &caller.conversation_id,
        headers: question.headers,
    };
    order(
        &model.policy,
        &model.candidates,
        &facts,
        &mut question.vm.targets.borrow_mut(),
        &mut question.vm.random.borrow_mut(),
        question.now_ns,
    )
}

/// The time limit of a request: the model's, or a narrower one of the caller's.
fn timeout(headers: &Headers, model: &VirtualModel) -> Result<Option<u64>, Refusal> {
    let of_model = model.timeouts.request.map(Duration::as_ms);
    let of_caller = match headers.get(name::WEIR_TIMEOUT_MS) {
        None => None,
        Some(_) => {
            let asked = headers.number(name::WEIR_TIMEOUT_MS).filter(|ms| (1..=TIMEOUT_MAX_MS).contains(ms));
            Some(asked.ok_or_else(Refusal::bad_timeout)?)
        }
    };
    Ok(of_model.into_iter().chain(of_caller).min())
}

fn strategy_name(model: &VirtualModel) -> &'static str {
    match model.policy.strategy {
        Strategy::Priority => "priority",
        Strategy::Weighted => "weighted",
        Strategy::Latency => "latency",
    }
}
