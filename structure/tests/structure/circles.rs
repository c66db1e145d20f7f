//! Circles in a graph of imports, the shortest first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::resolve::Edges;
use crate::violation::Violation;

/// Every circle of files: for each import that lies on one, the shortest circle through it. Where a
/// module takes something from one that it lies in, the rule is called `parent circle`.
pub(crate) fn of_files(edges: &Edges) -> Vec<Violation> {
    let mut found =
        report("file circle", edges, |from, to, (line, path)| format!("{from}:{line} imports {to} ({path})"));
    // Those through a parent are many, and end with one cut each.
    found.sort_by_key(|circle| circle.rule);
    found
}

/// Whether the module of file `below` lies within that of file `above`.
fn within(below: &str, above: &str) -> bool {
    let own = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"].iter().find_map(|end| above.strip_suffix(end));
    own.and_then(|folder| below.strip_prefix(folder)).is_some_and(|rest| rest.starts_with('/'))
}

/// Reports the circles of `graph`; `describe` says what one edge of it is.
pub(crate) fn report<E>(
    rule: &'static str,
    graph: &BTreeMap<String, BTreeMap<String, E>>,
    describe: impl Fn(&str, &str, &E) -> String,
) -> Vec<Violation> {
    let mut circles = BTreeSet::new();
    for (from, targets) in graph {
        for to in targets.keys() {
            if let Some(back) = shortest(graph, to, from) {
                circles.insert((back.len(), rotated(back)));
            }
        }
    }
    let line = |(from, to): (&&str, &&str)| {
        let edge = graph.get(*from).and_then(|targets| targets.get(*to))?;
        Some(format!("\n    {}", describe(from, to, edge)))
    };
    circles
        .iter()
        .map(|(length, circle)| {
            let next = circle.iter().cycle().skip(1);
            let imports: String = circle.iter().zip(next).filter_map(line).collect();
            let through_a_parent =
                circle.iter().zip(circle.iter().cycle().skip(1)).any(|(a, b)| within(a, b));
            let rule = if through_a_parent { "parent circle" } else { rule };
            Violation { rule, message: format!("{length} import each other{imports}") }
        })
        .collect()
}

/// The nodes of the shortest way from `from` to `to`, both included.
fn shortest<'a, E>(
    graph: &'a BTreeMap<String, BTreeMap<String, E>>,
    from: &'a str,
    to: &'a str,
) -> Option<Vec<&'a str>> {
    let mut came_from = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        if node == to {
            let mut way = vec![node];
            let mut at = node;
            while at != from {
                at = came_from.get(at)?;
                way.push(at);
            }
            way.reverse();
            return Some(way);
        }
        for next in graph.get(node).into_iter().flat_map(BTreeMap::keys) {
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}

/// The same circle, begun at its alphabetically first node.
fn rotated(mut circle: Vec<&str>) -> Vec<&str> {
    let first = circle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
    circle.rotate_left(first);
    circle
}
