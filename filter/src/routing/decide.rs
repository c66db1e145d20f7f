//! The decision about one request: which model, whether the caller may use it, and which targets it
//! goes to in which order. Everything is in memory; nothing waits.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::rc::Rc;

use weir_event::v1;
use weir_settings::Duration;

use crate::api::call::Call;
use crate::api::{Api, Feature};
use crate::auth::Grant;
use crate::balancing::{Facts, Strategy, TargetStates, order};
use crate::capture::budget::Budget;
use crate::config::{Config, Failover, NoPassthrough, Resolved, VirtualModel};
use crate::headers::{Headers, name};
use crate::json::edit::{BodyEdits, Edits, ModelEdit};
use crate::random::Random;
use crate::redact::{ForwardedPolicy, Policies};
use crate::redaction::Searched;
use crate::refusal::Refusal;
use crate::request::body::Body;
use crate::response::redact::ResponseRedaction;
use crate::routing::attempts::Plan;
use crate::routing::decision::Decision;
use crate::routing::router_headers::RouterHeaders;
use crate::trace_context;

/// Longest time that a caller may ask for, in ms.
const TIMEOUT_MAX_MS: u64 = 3_600_000;

/// What is asked, and the state that the decision reads.
pub struct Question<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The memory that its edits must fit into.
    pub memory: &'a Budget,
    /// What this VM has seen of the targets.
    pub targets: &'a RefCell<TargetStates>,
    /// Draws by lot.
    pub random: &'a RefCell<Random>,
    /// What is called.
    pub call: &'a Call,
    /// Who asks.
    pub caller: &'a v1::Caller,
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

/// What was decided, and what was found out for it.
#[derive(Debug)]
pub struct Decided {
    /// What was found out, as far as the decision came.
    pub findings: Findings,
    /// What goes on; the refusal goes to the caller.
    pub outcome: Result<Forward, Refusal>,
}

/// What was found out about a request.
#[derive(Debug, Default)]
pub struct Findings {
    /// What its body asks for; absent where it cannot be read.
    pub asked: Option<Asked>,
    /// What holds for its model, also where it is refused; absent where the model is not known.
    pub policies: Option<Policies>,
    /// When the search for what must not be sent began and ended, in Unix ns.
    pub searched_ns: Option<(u64, u64)>,
    /// What was found of that.
    pub redactions: Vec<v1::Redaction>,
    /// Which rule decided.
    pub resolution: Option<v1::Resolution>,
}

/// What a body asks for.
#[derive(Debug)]
pub struct Asked {
    /// The model.
    pub model: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The parameters that concern no content.
    pub parameters: v1::Parameters,
    /// The files of a form.
    pub files: Vec<v1::FormFile>,
}

/// A request that goes on.
#[derive(Debug)]
pub struct Forward {
    /// What the attempts need.
    pub decision: Decision,
    /// What Envoy's router does.
    pub router: RouterHeaders,
    /// How many characters the request's texts have.
    pub characters: u64,
    /// Whether its body is JSON, and so can be part of an event.
    pub is_json: bool,
    /// The body that is sent in place of the caller's, where something in it must not be.
    pub body: Option<Vec<u8>>,
    /// What is done with its response; absent: nothing.
    pub response_redaction: Option<ResponseRedaction>,
}

/// A search of the body for what must not reach the provider, made before the decision.
#[derive(Debug)]
pub struct EarlySearch {
    /// What came of it.
    pub outcome: Result<Searched, Refusal>,
    /// When it began and ended, in Unix ns.
    pub searched_ns: (u64, u64),
}

/// Decides about a request whose body is here, and was searched where `early` says so.
pub fn decide(question: &Question<'_>, early: Option<EarlySearch>) -> Decided {
    let mut findings = Findings::default();
    let outcome = forward(question, early, &mut findings);
    Decided { findings, outcome }
}

/// How the body is to be searched, in a request that comes as far as that.
pub fn search_needed(question: &Question<'_>) -> Option<ForwardedPolicy> {
    let redaction = question.config.redaction.as_ref()?;
    let Understood { body, policies, .. } = understand(question, &mut Findings::default()).ok()?;
    (body.form.is_none() && redaction.searches(&policies.forwarded)).then_some(policies.forwarded)
}

/// A request that may be made.
struct Understood<'q> {
    body: Body<'q>,
    resolved: Resolved,
    policies: Policies,
}

fn understand<'q>(question: &Question<'q>, findings: &mut Findings) -> Result<Understood<'q>, Refusal> {
    let content_type = question.headers.get(name::CONTENT_TYPE).unwrap_or_default();
    let mut body = Body::read(question.call, content_type, question.body)?;
    findings.asked = Some(Asked {
        model: body.model.clone(),
        stream: body.stream,
        parameters: std::mem::take(&mut body.parameters),
        files: std::mem::take(&mut body.files),
    });
    if let Some((member, feature)) = body.references.missing(|feature| question.grant.features.has(feature)) {
        return Err(Refusal::reference_not_granted(member, feature));
    }
    let resolved = question.config.resolve(&body.model).ok_or_else(|| Refusal::unknown_model(&body.model))?;
    let redaction = question.config.redaction.as_ref();
    let policies = redaction
        .map(|redaction| redaction.policies(&question.grant.name, &body.model, question.headers))
        .unwrap_or_default();
    findings.policies = Some(policies);
    if !question.grant.models.allows(&body.model) {
        return Err(Refusal::model_not_allowed(&body.model));
    }
    Ok(Understood { body, resolved, policies })
}

fn forward(
    question: &Question<'_>,
    early: Option<EarlySearch>,
    findings: &mut Findings,
) -> Result<Forward, Refusal> {
    let Understood { body, resolved, policies } = understand(question, findings)?;
    let family = question.call.api.family();
    let redaction = question.config.redaction.as_ref();
    let (mut sent, mut restorer) = (None, None);
    if let Some(redaction) = redaction.filter(|redaction| redaction.searches(&policies.forwarded)) {
        let begun_ns = (question.clock)();
        let searched = match (&body.form, early) {
            (Some(_), _) => redaction.unreadable(&policies.forwarded).map(|()| None),
            (None, Some(EarlySearch { outcome, searched_ns })) => {
                findings.searched_ns = Some(searched_ns);
                outcome.map(Some)
            }
            (None, None) => {
                redaction.forward(&policies.forwarded, family, question.body, Some(&body.object)).map(Some)
            }
        };
        findings.searched_ns.get_or_insert_with(|| (begun_ns, (question.clock)()));
        if let Some(searched) = searched? {
            sent = searched.body;
            findings.redactions = searched.found;
            restorer = searched.restorer;
        }
    }
    let response_redaction = redaction.and_then(|redaction| {
        ResponseRedaction::new(redaction, policies.returned, restorer, question.call.api)
    });
    let body = match &sent {
        Some(sent) => {
            let content_type = question.headers.get(name::CONTENT_TYPE).unwrap_or_default();
            Body::read(question.call, content_type, sent)?
        }
        None => body,
    };
    let bytes = sent.as_deref().unwrap_or(question.body);
    let model = resolved.model;
    let chosen = in_order(question, &model);
    findings.resolution = Some(v1::Resolution {
        rule: resolved.rule,
        targets: u32::try_from(model.routes.len()).unwrap_or(u32::MAX),
        strategy: strategy_name(&model).to_owned(),
    });
    let mut routes = Vec::with_capacity(chosen.len());
    let mut edits = Vec::with_capacity(chosen.len());
    let mut usage_asked_of = Vec::with_capacity(chosen.len());
    let usage_edit = body.usage_edit(question.call.api);
    let (mut withheld, mut planned) = (None, 0_usize);
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
        // A body of many requests names its model in each of them, and each target replaces every name.
        let names = body.model_at.len().saturating_mul(json.len() + BodyEdits::overhead());
        planned = planned.saturating_add(names);
        if !question.memory.has(planned) {
            return Err(Refusal::out_of_memory());
        }
        let model_edit = ModelEdit { json: &json, at: &body.model_at, required };
        let usage = usage_edit.as_ref().filter(|_| route.include_usage());
        let wanted = Edits { model: Some(model_edit), params: Some(&route.params), usage };
        usage_asked_of.push(usage.is_some());
        edits.push(BodyEdits::new(bytes, &body.object, &wanted));
        routes.push(Rc::clone(route));
    }
    if routes.is_empty() {
        let refusal = |(member, feature)| Refusal::reference_not_granted(member, feature);
        return Err(withheld.map_or_else(|| Refusal::no_target(&body.model), refusal));
    }
    let follows_up = question.config.upstream_filter;
    let failover = match follows_up {
        true => Rc::clone(&model.failover),
        false => Rc::new(Failover { attempts: 1, ..(*model.failover).clone() }),
    };
    let plan = Plan::new(routes, failover);
    let first_token = model.timeouts.first_token.filter(|_| body.stream && follows_up);
    let router = RouterHeaders {
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
        usage_asked_of,
        forwarded: forwarded(question.call.api, question.headers, question.config, router.timeout_ms),
        baggage: trace_context::baggage(question.headers),
        hold_for_token: first_token.is_some(),
        time_limit_ms: router.timeout_ms,
        hurried: question.headers.get(name::WEIR_TIMEOUT_MS).is_some(),
    };
    let (characters, is_json) = (body.object.text_bytes() as u64, body.form.is_none());
    Ok(Forward { decision, router, characters, is_json, response_redaction, body: sent })
}

/// Decides about a request that is passed through: whether key and provider grant its feature, and
/// which provider it goes to.
pub fn pass(
    config: &Config,
    grant: &Grant,
    feature: Feature,
    call: &Call,
    headers: &Headers,
) -> Result<Forward, Refusal> {
    if !grant.features.has(feature) {
        return Err(Refusal::feature_not_granted(feature));
    }
    let named = headers.get(name::WEIR_PROVIDER).map(String::from_utf8_lossy);
    let model =
        config.passthrough(feature, call.api.family(), named.as_deref()).map_err(|why| match why {
            NoPassthrough::Unknown => Refusal::unknown_path(),
            NoPassthrough::NotGranted => Refusal::feature_not_granted(feature),
            NoPassthrough::Ambiguous => Refusal::ambiguous_provider(),
        })?;
    let route = model.routes.first().ok_or_else(Refusal::unknown_path)?;
    let api = Api::passthrough(route.kind().family());
    let mut response_redaction = None;
    if let Some(redaction) = &config.redaction {
        // What is passed through is not read, so what must not be sent cannot be found in it.
        let policies = redaction.policies(&grant.name, "", headers);
        let may_have_body = !matches!(headers.get(name::METHOD), Some(b"GET" | b"HEAD" | b"DELETE"));
        if may_have_body && redaction.searches(&policies.forwarded) {
            redaction.unreadable(&policies.forwarded)?;
        }
        response_redaction = ResponseRedaction::new(redaction, policies.returned, None, api);
    }
    if feature.is_for_any_model() && !grant.models.allows(&format!("{}/", route.provider())) {
        return Err(Refusal::needs_every_model(route.provider()));
    }
    let router = RouterHeaders { timeout_ms: timeout(headers, &model)?, ..RouterHeaders::default() };
    let decision = Decision {
        call: Call { api, ..call.clone() },
        plan: Plan::new(vec![Rc::clone(route)], Rc::clone(&model.failover)),
        edits: Vec::new(),
        body_bytes: 0,
        usage_asked_of: Vec::new(),
        forwarded: forwarded(api, headers, config, router.timeout_ms),
        baggage: trace_context::baggage(headers),
        hold_for_token: false,
        time_limit_ms: None,
        hurried: headers.get(name::WEIR_TIMEOUT_MS).is_some(),
    };
    Ok(Forward { decision, router, characters: 0, is_json: false, body: None, response_redaction })
}

/// The caller's headers that go on, and the time limit where nobody else sets it.
fn forwarded(
    api: Api,
    headers: &Headers,
    config: &Config,
    timeout_ms: Option<u64>,
) -> Vec<(&'static str, Vec<u8>)> {
    // Envoy chooses no route without this one. Where the provider's headers are there before the route
    // is chosen, they must have it, and the route takes it out.
    let for_route = (!config.upstream_filter).then_some(name::X_FORWARDED_PROTO);
    let names = api.forwarded_headers().chain(for_route);
    // Among the provider's headers, which are there already when Envoy's router takes it out.
    let timeout = timeout_ms.filter(|_| !config.upstream_filter);
    let timeout = timeout.map(|ms| (name::ENVOY_TIMEOUT, ms.to_string().into_bytes()));
    names.filter_map(|key| Some((key, headers.get(key)?.to_vec()))).chain(timeout).collect()
}

fn in_order(question: &Question<'_>, model: &VirtualModel) -> Vec<usize> {
    let caller = question.caller;
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
        &mut question.targets.borrow_mut(),
        &mut question.random.borrow_mut(),
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
