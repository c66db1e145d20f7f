//! Fields that may be written in two ways, read so that an error names the place within.
//!
//! (Serde's untagged enums would say only that no variant matched.)

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, value::MapAccessDeserializer},
};

use super::wire::{Header, Metrics, OneOrMany, PageListen, SecretRef};

/// The most entries of a list.
const MAX_ENTRIES: usize = 256;

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Somebody may write a secret here against advice.
            Self::Text(_) => f.write_str("Text(withheld)"),
            Self::Secret(secret) => fmt::Debug::fmt(secret, f),
        }
    }
}

impl FromStr for PageListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "off" => Ok(Self::Off),
            address => address
                .parse()
                .map(Self::At)
                .map_err(|_| "must be an address and port, such as 127.0.0.1:4321, or off"),
        }
    }
}

impl<'de> Deserialize<'de> for PageListen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = PageListen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address and port, or off")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<PageListen, E> {
                value.parse().map_err(E::custom)
            }

            // What `off` was in YAML 1.1.
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<PageListen, E> {
                if value {
                    Err(E::invalid_value(de::Unexpected::Bool(true), &self))
                } else {
                    Ok(PageListen::Off)
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, { env: VARIABLE } or { file: /path }")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Header, E> {
                Ok(Header::Text(value.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Header, E> {
                Ok(Header::Text(value.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Header, A::Error> {
                SecretRef::deserialize(MapAccessDeserializer::new(map)).map(Header::Secret)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Metrics;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL, or false")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Metrics, E> {
                // True would say nothing where the endpoint does not tell where metrics go.
                if value { Err(E::custom("give a URL, or false")) } else { Ok(Metrics::Off(false)) }
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Metrics, E> {
                Ok(Metrics::Url(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A text, or a number taken as one: a status reads as a number.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(text) => Ok(Self(text)),
            OneOrMany::Many(_) => Err(de::Error::custom("must be a text, not a list")),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(value.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(value.to_string()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    if texts.len() >= MAX_ENTRIES {
                        return Err(de::Error::custom(format!("a list may have {MAX_ENTRIES} entries")));
                    }
                    texts.push(text);
                }
                Ok(OneOrMany::Many(texts))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
