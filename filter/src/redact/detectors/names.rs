//! The detectors by name, their versions, and sets of them.
//!
//! A detector's version changes when it would decide differently about a text, so that counts in traces of
//! different releases can be told apart.

use std::fmt;

/// The group of all detectors that find credentials.
pub const SECRETS: &str = "secrets";
/// Most operator-defined detectors.
pub const CUSTOM_MAX: usize = 32;

/// A built-in detector. The first one in this order names overlapping matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Builtin {
    /// Private keys in PEM or OpenPGP armour (RFC 7468, RFC 9580 section 6.2).
    PrivateKey,
    /// JSON web tokens, signed or encrypted (RFC 7519).
    Jwt,
    /// Anthropic API keys.
    Anthropic,
    /// OpenAI API keys.
    OpenAi,
    /// AWS access key ids, and secrets and session tokens beside their names.
    Aws,
    /// Google API keys, OAuth secrets and tokens.
    Gcp,
    /// Azure account and access keys, shared access signatures and client secrets.
    Azure,
    /// GitHub tokens.
    GitHub,
    /// GitLab tokens.
    GitLab,
    /// Slack tokens and webhooks.
    Slack,
    /// Stripe secret and restricted keys, and webhook secrets.
    Stripe,
    /// User and password in a URL (RFC 3986, section 3.2.1).
    UrlCredentials,
    /// Values beside a word such as `api_key=`, `password:` or `Bearer`.
    GenericSecret,
    /// Email addresses (RFC 5322, RFC 6531).
    Email,
    /// International bank account numbers (ISO 13616).
    Iban,
    /// Payment card numbers (ISO/IEC 7812).
    CreditCard,
    /// US social security numbers.
    Ssn,
    /// Dates beside a word for birth.
    DateOfBirth,
    /// Numbers beside a word for a passport.
    Passport,
    /// Numbers beside a word for a driving licence.
    DrivingLicence,
    /// MAC addresses of 48 or 64 bits.
    Mac,
    /// IPv4 and IPv6 addresses.
    Ip,
    /// Telephone numbers.
    Phone,
}

impl Builtin {
    /// Every built-in detector, the most specific first.
    pub const ALL: [Self; 23] = [
        Self::PrivateKey,
        Self::Jwt,
        Self::Anthropic,
        Self::OpenAi,
        Self::Aws,
        Self::Gcp,
        Self::Azure,
        Self::GitHub,
        Self::GitLab,
        Self::Slack,
        Self::Stripe,
        Self::UrlCredentials,
        Self::GenericSecret,
        Self::Email,
        Self::Iban,
        Self::CreditCard,
        Self::Ssn,
        Self::DateOfBirth,
        Self::Passport,
        Self::DrivingLicence,
        Self::Mac,
        Self::Ip,
        Self::Phone,
    ];

    /// The name used in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Slack => "slack",
            Self::Stripe => "stripe",
            Self::UrlCredentials => "url_credentials",
            Self::GenericSecret => "generic_secret",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::CreditCard => "credit_card",
            Self::Ssn => "ssn",
            Self::DateOfBirth => "date_of_birth",
            Self::Passport => "passport",
            Self::DrivingLicence => "driving_licence",
            Self::Mac => "mac",
            Self::Ip => "ip",
            Self::Phone => "phone",
        }
    }

    /// The version of its rules.
    pub const fn version(self) -> u32 {
        match self {
            Self::PrivateKey | Self::Iban => 1,
            _ => 2,
        }
    }

    /// Whether it belongs to the group [`SECRETS`].
    pub const fn is_secret(self) -> bool {
        (self as u8) <= (Self::GenericSecret as u8)
    }

    /// Its number among all detectors.
    pub const fn id(self) -> DetectorId {
        DetectorId(self as u8)
    }

    /// Returns the detector with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == name)
    }
}

/// A detector's number: built-in ones first, then the operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DetectorId(pub(crate) u8);

impl DetectorId {
    /// The operator's detector at an index of the list.
    pub(crate) fn custom(index: usize) -> Self {
        Self(u8::try_from(Builtin::ALL.len() + index.min(CUSTOM_MAX)).unwrap_or(u8::MAX))
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The lower rank names overlapping matches. Operators' detectors go before the built-in ones.
    pub(crate) fn rank(self) -> u8 {
        let builtin = u8::try_from(Builtin::ALL.len()).unwrap_or(u8::MAX);
        self.0.checked_sub(builtin).unwrap_or(self.0.saturating_add(64))
    }
}

/// A set of detectors.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Set(u64);

impl Set {
    /// No detector.
    pub const EMPTY: Self = Self(0);

    /// The built-in detectors that find credentials.
    pub fn secrets() -> Self {
        Builtin::ALL.into_iter().filter(|builtin| builtin.is_secret()).map(Builtin::id).collect()
    }

    /// Every built-in detector.
    pub fn builtin() -> Self {
        Builtin::ALL.into_iter().map(Builtin::id).collect()
    }

    /// Adds a detector.
    #[must_use]
    pub fn with(self, id: DetectorId) -> Self {
        Self(self.0 | 1 << id.0)
    }

    /// Detectors in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Detectors of this set that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The built-in detectors of this set.
    #[must_use]
    pub(crate) fn only_builtin(self) -> Self {
        self.without(self.without(Self::builtin()))
    }

    /// Whether a detector is in the set.
    #[inline]
    pub fn contains(self, id: DetectorId) -> bool {
        self.0 >> id.0 & 1 == 1
    }

    /// Whether a built-in detector is in the set.
    #[inline]
    pub(crate) fn has(self, builtin: Builtin) -> bool {
        self.contains(builtin.id())
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<DetectorId> for Set {
    fn from_iter<I: IntoIterator<Item = DetectorId>>(ids: I) -> Self {
        ids.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Set({:#x})", self.0)
    }
}
