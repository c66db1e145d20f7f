//! Checked redaction policies of a gateway, its keys and its models, and how two of them combine.
//!
//! The stricter of two policies excludes, masks or blocks whatever either of them does, detector by detector.
//! No key, model or request can make a policy laxer.

use weir_settings::ConfigError;

use crate::redact::detectors::names::Set;
use crate::redact::engine::compiled::Detectors;
use crate::redact::engine::replace::Style;
use crate::redact::settings::{
    Action, Content, Exported, Forwarded, Redaction, Returned, Stricter, Unreadable,
};

/// What is exported to telemetry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportedPolicy {
    /// Whether content is exported as it is, redacted or excluded.
    pub content: Content,
    /// Detectors that run: on content if it is redacted, on the caller's metadata also if content is excluded.
    /// None if content is exported as it is.
    pub detectors: Set,
    /// The replacement of a match.
    pub replacement: Style,
}

/// Which detectors mask and which block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// Detectors whose matches are replaced.
    pub mask: Set,
    /// Detectors whose matches block the whole message; disjoint from `mask`.
    pub block: Set,
    /// The replacement of a match.
    pub replacement: Style,
}

/// What is forwarded to providers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardedPolicy {
    /// What happens to matches.
    pub actions: Actions,
    /// Whether the original values are restored in the response.
    pub restore: bool,
    /// What happens to a request body that cannot be read, if any detector runs.
    pub on_unreadable: Unreadable,
}

/// What is returned to callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReturnedPolicy {
    /// What happens to matches.
    pub actions: Actions,
    /// What happens to a response that cannot be searched, if any detector runs.
    pub on_unreadable: Unreadable,
}

/// The policies that apply to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// For telemetry.
    pub exported: ExportedPolicy,
    /// For the provider.
    pub forwarded: ForwardedPolicy,
    /// For the caller.
    pub returned: ReturnedPolicy,
}

impl Policies {
    /// Checks the gateway's policies. An error's path begins with `path`.
    pub fn new(wire: &Redaction, detectors: &Detectors, path: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            exported: ExportedPolicy::new(&wire.exported, detectors, path)?,
            forwarded: ForwardedPolicy::new(&wire.forwarded, detectors, path)?,
            returned: ReturnedPolicy::new(&wire.returned, detectors, path)?,
        })
    }

    /// Tightens these policies as a key or a model demands. An error's path begins with `path`.
    pub fn with(&self, wire: &Stricter, detectors: &Detectors, path: &str) -> Result<Self, ConfigError> {
        let mut policies = *self;
        if let Some(exported) = &wire.exported {
            policies.exported = self.exported.stricter(&ExportedPolicy::new(exported, detectors, path)?);
        }
        if let Some(forwarded) = &wire.forwarded {
            policies.forwarded = self.forwarded.stricter(&ForwardedPolicy::new(forwarded, detectors, path)?);
        }
        if let Some(returned) = &wire.returned {
            policies.returned = self.returned.stricter(&ReturnedPolicy::new(returned, detectors, path)?);
        }
        Ok(policies)
    }

    /// Returns the stricter of the two, part by part.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            exported: self.exported.stricter(&other.exported),
            forwarded: self.forwarded.stricter(&other.forwarded),
            returned: self.returned.stricter(&other.returned),
        }
    }
}

impl ExportedPolicy {
    fn new(wire: &Exported, detectors: &Detectors, path: &str) -> Result<Self, ConfigError> {
        let set = detectors.select(wire.detectors.as_deref(), &format!("{path}.exported.detectors"))?;
        let redacts = wire.content == Content::Redact;
        if redacts && set.is_empty() {
            let message = "no detector is given, so nothing would be redacted; say `content: keep` for that";
            return Err(ConfigError::at(format!("{path}.exported.detectors"), message));
        }
        Ok(Self {
            content: wire.content,
            detectors: if wire.content == Content::Keep { Set::EMPTY } else { set },
            replacement: wire.replacement,
        })
    }

    /// Excludes all content. If content was exported as it is, the detectors `instead` search the caller's
    /// metadata.
    #[must_use]
    pub fn excluding(&self, instead: Set) -> Self {
        let detectors = if self.detectors.is_empty() { instead } else { self.detectors };
        Self { content: Content::Exclude, detectors, ..*self }
    }

    /// Returns the stricter of the two.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            content: self.content.max(other.content),
            detectors: self.detectors.union(other.detectors),
            replacement: stricter_style(
                (self.replacement, self.detectors.is_empty()),
                (other.replacement, other.detectors.is_empty()),
            ),
        }
    }
}

impl ForwardedPolicy {
    fn new(wire: &Forwarded, detectors: &Detectors, path: &str) -> Result<Self, ConfigError> {
        let set = detectors.select(wire.detectors.as_deref(), &format!("{path}.forwarded.detectors"))?;
        let actions = Actions::new(wire.action, set, wire.replacement, &format!("{path}.forwarded"))?;
        if wire.restore && wire.action != Action::Mask {
            let message = "there is nothing to restore unless `action` is `mask`";
            return Err(ConfigError::at(format!("{path}.forwarded.restore"), message));
        }
        if wire.restore && wire.replacement != Style::Label {
            let message = "only labels can be told apart and restored; leave `replacement` at `label`";
            return Err(ConfigError::at(format!("{path}.forwarded.replacement"), message));
        }
        Ok(Self { actions, restore: wire.restore, on_unreadable: wire.on_unreadable })
    }

    /// Returns the stricter of the two: values are restored only if every policy that masks says so.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        let actions = self.actions.stricter(&other.actions);
        let restores = |policy: &Self| policy.restore || policy.actions.mask.is_empty();
        Self {
            restore: !actions.mask.is_empty() && restores(self) && restores(other),
            on_unreadable: stricter_unreadable(
                (self.on_unreadable, self.actions.is_off()),
                (other.on_unreadable, other.actions.is_off()),
            ),
            actions,
        }
    }
}

impl ReturnedPolicy {
    fn new(wire: &Returned, detectors: &Detectors, path: &str) -> Result<Self, ConfigError> {
        let set = detectors.select(wire.detectors.as_deref(), &format!("{path}.returned.detectors"))?;
        let actions = Actions::new(wire.action, set, wire.replacement, &format!("{path}.returned"))?;
        Ok(Self { actions, on_unreadable: wire.on_unreadable })
    }

    /// Returns the stricter of the two.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        Self {
            actions: self.actions.stricter(&other.actions),
            on_unreadable: stricter_unreadable(
                (self.on_unreadable, self.actions.is_off()),
                (other.on_unreadable, other.actions.is_off()),
            ),
        }
    }
}

/// Refuses if either does. A policy without detectors (`true`) does not count, unless neither has any.
fn stricter_unreadable(one: (Unreadable, bool), other: (Unreadable, bool)) -> Unreadable {
    let refuses = |(unreadable, is_off): (Unreadable, bool)| !is_off && unreadable == Unreadable::Refuse;
    let unread = one.1 && other.1 && (one.0 == Unreadable::Refuse || other.0 == Unreadable::Refuse);
    if refuses(one) || refuses(other) || unread { Unreadable::Refuse } else { Unreadable::Pass }
}

impl Actions {
    fn new(action: Action, set: Set, replacement: Style, path: &str) -> Result<Self, ConfigError> {
        if action != Action::Off && set.is_empty() {
            let message = "no detector is given, so nothing would be found; say `action: off` for that";
            return Err(ConfigError::at(format!("{path}.detectors"), message));
        }
        let when = |wanted| if action == wanted { set } else { Set::EMPTY };
        Ok(Self { mask: when(Action::Mask), block: when(Action::Block), replacement })
    }

    /// Whether no detector runs.
    pub fn is_off(&self) -> bool {
        self.all().is_empty()
    }

    /// All detectors that run.
    pub fn all(&self) -> Set {
        self.mask.union(self.block)
    }

    /// Returns the stricter of the two: blocks what either blocks, masks what either masks.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        let block = self.block.union(other.block);
        Self {
            mask: self.mask.union(other.mask).without(block),
            block,
            replacement: stricter_style(
                (self.replacement, self.mask.is_empty()),
                (other.replacement, other.mask.is_empty()),
            ),
        }
    }
}

/// Returns the style that reveals less: a hash reveals that two values are equal, a label only their kind. An
/// unused style (`true`) does not count.
fn stricter_style(one: (Style, bool), other: (Style, bool)) -> Style {
    let tells = |style| match style {
        Style::Hash => 2,
        Style::Label => 1,
        Style::Mask => 0,
    };
    match (one, other) {
        ((style, false), (_, true)) | ((_, true), (style, false)) => style,
        ((one, _), (other, _)) if tells(other) < tells(one) => other,
        ((one, _), _) => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Builtin;
    use crate::redact::tests::DETECTORS;

    fn policies(yaml_as_json: &str) -> Result<Policies, ConfigError> {
        Policies::new(&serde_json::from_str(yaml_as_json).unwrap(), &DETECTORS, "redaction")
    }

    fn set(builtin: &[Builtin]) -> Set {
        builtin.iter().map(|builtin| builtin.id()).collect()
    }

    #[test]
    fn what_is_written_becomes_sets_of_detectors() {
        let policies = policies(
            r#"{"exported":{"content":"redact","detectors":["email","secrets"],"replacement":"label"},
                "forwarded":{"detectors":["credit_card","jwt"],"action":"mask","restore":true}}"#,
        )
        .unwrap();
        assert_eq!(policies.exported.detectors, set(&[Builtin::Email]).union(Set::secrets()));
        assert_eq!(policies.forwarded.actions.mask, set(&[Builtin::CreditCard, Builtin::Jwt]));
        assert!(policies.forwarded.restore && policies.returned.actions.is_off());
        let default = Policies::new(&Redaction::default(), &DETECTORS, "redaction").unwrap();
        assert_eq!(
            (default.exported.content, default.exported.detectors),
            (Content::Redact, DETECTORS.all())
        );
        assert!(default.forwarded.actions.is_off() && default.returned.actions.is_off());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_field() {
        for (wire, path, says) in [
            (
                r#"{"exported":{"detectors":["emial"]}}"#,
                "redaction.exported.detectors[0]",
                "did you mean \"email\"?",
            ),
            (r#"{"exported":{"detectors":[]}}"#, "redaction.exported.detectors", "nothing would be redacted"),
            (
                r#"{"returned":{"action":"mask","detectors":[]}}"#,
                "redaction.returned.detectors",
                "nothing would",
            ),
            (r#"{"forwarded":{"action":"block","restore":true}}"#, "redaction.forwarded.restore", "`mask`"),
            (
                r#"{"forwarded":{"action":"mask","restore":true,"replacement":"hash"}}"#,
                "redaction.forwarded.replacement",
                "labels",
            ),
        ] {
            let error = policies(wire).unwrap_err();
            assert_eq!(error.path, path);
            assert!(error.message.contains(says), "{error}");
        }
        assert!(serde_json::from_str::<Redaction>(r#"{"exportet":{}}"#).is_err());
    }

    #[test]
    fn the_stricter_of_two_has_what_either_asks_for() {
        let one = policies(
            r#"{"exported":{"content":"keep"},
                "forwarded":{"action":"mask","detectors":["email","ip"],"restore":true,"on_unreadable":"pass"},
                "returned":{"action":"mask","detectors":["phone"],"replacement":"hash"}}"#,
        )
        .unwrap();
        let wire: Stricter = serde_json::from_str(
            r#"{"exported":{"content":"redact","detectors":["email"],"replacement":"mask"},
                "forwarded":{"action":"block","detectors":["email","ssn"]},
                "returned":{"action":"mask","detectors":["email"]}}"#,
        )
        .unwrap();
        let both = one.with(&wire, &DETECTORS, "keys[0].redaction").unwrap();
        assert_eq!(both.exported.content, Content::Redact);
        assert_eq!(
            (both.exported.detectors, both.exported.replacement),
            (set(&[Builtin::Email]), Style::Mask)
        );
        assert_eq!(both.forwarded.actions.block, set(&[Builtin::Email, Builtin::Ssn]));
        assert_eq!(both.forwarded.actions.mask, set(&[Builtin::Ip]));
        assert!(both.forwarded.restore, "only one of them masks, and it restores");
        assert_eq!(both.forwarded.on_unreadable, Unreadable::Refuse);
        assert_eq!(both.returned.actions.mask, set(&[Builtin::Phone, Builtin::Email]));
        assert_eq!(both.returned.actions.replacement, Style::Label);
        for (policy, detectors) in [(both, both.exported.detectors), (one, DETECTORS.all())] {
            let excluding = policy.exported.excluding(DETECTORS.all());
            assert_eq!((excluding.content, excluding.detectors), (Content::Exclude, detectors));
        }
        assert_eq!(one.with(&Stricter::default(), &DETECTORS, "keys[0].redaction"), Ok(one));
    }

    #[test]
    fn stricter_is_the_same_both_ways_and_with_itself_and_never_laxer() {
        let wires = [
            r#"{}"#,
            r#"{"exported":{"content":"keep"}}"#,
            r#"{"exported":{"content":"exclude"},"forwarded":{"action":"mask","detectors":["email"],"restore":true}}"#,
            r#"{"forwarded":{"action":"mask","detectors":["email","ip"],"replacement":"hash","on_unreadable":"pass"}}"#,
            r#"{"forwarded":{"action":"block","detectors":["ip"]},"returned":{"action":"block","detectors":["jwt"]}}"#,
            r#"{"exported":{"detectors":["iban"],"replacement":"hash"},"returned":{"action":"mask"}}"#,
        ];
        let all: Vec<Policies> = wires.into_iter().map(|wire| policies(wire).unwrap()).collect();
        for one in &all {
            assert_eq!(one.stricter(one), *one);
            for other in &all {
                let both = one.stricter(other);
                assert_eq!(both, other.stricter(one));
                assert!(both.exported.content >= one.exported.content);
                for (strict, lax) in [
                    (both.forwarded.actions, one.forwarded.actions),
                    (both.returned.actions, one.returned.actions),
                ] {
                    assert!(lax.block.without(strict.block).is_empty());
                    assert!(lax.all().without(strict.all()).is_empty());
                    assert!(strict.mask.without(strict.block) == strict.mask);
                }
                assert!(one.exported.detectors.without(both.exported.detectors).is_empty());
                for third in &all {
                    assert_eq!(both.stricter(third), one.stricter(&other.stricter(third)));
                }
            }
        }
    }
}
