//! Reads the examples of detect-secrets: tuples of a line and whether it contains a secret.

use std::collections::HashMap;

/// A line, and whether a secret stands in it.
pub(crate) struct Line {
    pub text: String,
    pub is_secret: bool,
}

/// Returns the tuples `('…'.format(NAME), VALUE)` of a file; those that are not understood are left out.
pub(crate) fn lines(source: &str) -> Vec<Line> {
    let mut names: HashMap<&str, String> = HashMap::new();
    for line in source.lines() {
        if let Some((name, value)) = line.split_once(" = ")
            && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            && let Some((text, rest)) = literal(value)
            && rest.trim().is_empty()
        {
            names.insert(name, text);
        }
    }
    let mut all = Vec::new();
    for (at, _) in source.match_indices('(') {
        let rest = source.get(at + 1..).unwrap_or_default();
        let Some((mut text, mut rest)) = literal(rest.trim_start()) else { continue };
        while let Some((more, after)) = literal(rest.trim_start()) {
            text.push_str(&more);
            rest = after;
        }
        if let Some(format) = rest.strip_prefix(".format(") {
            let Some((name, after)) = format.split_once(')') else { continue };
            let Some(value) = names.get(name.trim()).cloned() else { continue };
            let parts: Vec<String> =
                text.split("{}").map(|part| part.replace("{{", "{").replace("}}", "}")).collect();
            text = parts.join(&value);
            rest = after;
        }
        let Some(rest) = rest.trim_start().strip_prefix(',') else { continue };
        let mut rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix('#') {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        }
        let end = rest.find([',', ')', ' ', '\n']).unwrap_or(0);
        let is_secret = match rest.get(..end) {
            Some("True") => true,
            Some("None" | "False") => false,
            Some(name) if names.contains_key(name) => true,
            _ => continue,
        };
        all.push(Line { text, is_secret });
    }
    all
}

/// Reads a string in single or double quotes.
fn literal(source: &str) -> Option<(String, &str)> {
    let quote = source.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut out = String::new();
    let mut chars = source.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Some((out, source.get(at + 1..)?)),
            '\n' => return None,
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                c => out.push(c),
            },
            c => out.push(c),
        }
    }
    None
}

#[test]
fn the_tuples_of_a_test_are_read() {
    let source = "KEY = 'a{b'\n    ('x = \"{}\"'.format(KEY), KEY),  # c\n    ('y', None),\n    (\n 'z', # d\n True),\n    f(x)";
    let lines = lines(source);
    let texts: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.is_secret)).collect();
    assert_eq!(texts, [("x = \"a{b\"", true), ("y", false), ("z", true)]);
}
