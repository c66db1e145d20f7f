//! Where in a YAML file a field stands: line and column by the field's path.
//!
//! A field of a map is where its name is, an item of a list where it begins. What is missing is
//! where the nearest thing around it is.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::Place;

impl Place {
    pub(super) fn of(location: serde_saphyr::Location) -> Option<Self> {
        let (line, column) = (location.line(), location.column());
        (line > 0).then_some(Self { line, column })
    }
}

/// The places of everything in a file.
#[derive(Debug)]
enum Node {
    Map(Vec<(String, Option<Place>, Node)>),
    List(Vec<(Option<Place>, Node)>),
    Leaf,
}

/// Where the field of this path stands; absent where the file is no YAML, or the path leads nowhere.
pub fn find(yaml: &str, path: &str) -> Option<Place> {
    let root: Node = serde_saphyr::from_str(yaml).ok()?;
    let mut best = None;
    search(&root, path, None, 0, &mut best);
    best.and_then(|(_, place)| place)
}

/// Follows a path as far as it leads. Names may hold dots, so each that fits is tried, and the one by
/// which most of the path is used is taken.
fn search(
    node: &Node,
    rest: &str,
    here: Option<Place>,
    used: usize,
    best: &mut Option<(usize, Option<Place>)>,
) {
    if used > 0 && best.is_none_or(|(most, _)| used > most) {
        *best = Some((used, here));
    }
    match node {
        Node::Map(fields) => {
            let rest_ = rest.strip_prefix('.').unwrap_or(rest);
            let dot = rest.len() - rest_.len();
            for (name, place, value) in fields {
                for written in [name.clone(), format!("{name:?}")] {
                    let Some(after) = rest_.strip_prefix(written.as_str()) else { continue };
                    if after.is_empty() || after.starts_with(['.', '[']) {
                        search(value, after, *place, used + dot + written.len(), best);
                    }
                }
            }
        }
        Node::List(items) => {
            let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
                return;
            };
            if let Some((place, value)) = index.parse::<usize>().ok().and_then(|index| items.get(index)) {
                search(value, after, *place, used + index.len() + 2, best);
            }
        }
        Node::Leaf => {}
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeVisitor;
        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("YAML")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut fields = Vec::new();
                while let Some(name) = map.next_key::<Spanned<String>>()? {
                    let place = Place::of(name.referenced);
                    fields.push((name.value, place, map.next_value()?));
                }
                Ok(Node::Map(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element::<Spanned<Node>>()? {
                    items.push((Place::of(item.referenced), item.value));
                }
                Ok(Node::List(items))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
                Node::deserialize(deserializer)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
                IgnoredAny::deserialize(deserializer).map(|_| Node::Leaf)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Leaf)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Leaf)
            }

            fn visit_str<E>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Leaf)
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Leaf)
            }

            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Leaf)
            }
        }
        deserializer.deserialize_any(NodeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
listen: 127.0.0.1:8080
models:
  claude-3.5:
    targets:
      - provider: a
        weight: 1
      - { provider: b, when: { metadata: { a.b: x } } }
  claude-3: {}
keys: [{ name: a }]
\"a b\": ~
";

    fn at(path: &str) -> Option<(u64, u64)> {
        find(YAML, path).map(|place| (place.line, place.column))
    }

    #[test]
    fn a_field_is_found_by_its_path() {
        assert_eq!(at("listen"), Some((1, 1)));
        assert_eq!(at("models.claude-3.5.targets[0].weight"), Some((6, 9)));
        assert_eq!(at("models.claude-3.5.targets[1].provider"), Some((7, 11)));
        assert_eq!(at("models.claude-3.5.targets[1].when.metadata.a.b"), Some((7, 44)));
        assert_eq!(at("models.claude-3.alias"), Some((8, 3)));
        assert_eq!(at("keys[0].sha256"), Some((9, 8)), "what is missing is where it would be");
        assert_eq!(at("\"a b\""), Some((10, 1)));
        assert_eq!(at("nothing"), None);
        assert_eq!(find("a: [", "a"), None);
    }
}
