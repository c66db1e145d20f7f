//! What the documentation points to: a link leads to a file and a heading in it, and a path in code marks to
//! what is there.

use std::path::Path;

use anyhow::Context;

use crate::source::parent;
use crate::violation::Violation;

/// Every link and path in the Markdown files below `root` that leads nowhere. Hidden folders and what is
/// built are left out.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let read = |path: &str| {
        let path = root.join(path);
        let text = || Some(String::from_utf8_lossy(&std::fs::read(&path).ok()?).into_owned());
        path.is_dir().then(String::new).or_else(text)
    };
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                let own = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                found.extend(broken(&own, &read(&own).unwrap_or_default(), &read));
            }
        }
    }
    Ok(found)
}

/// What leads nowhere in `text`, which is the file `path`; `read` returns the text of a file, an empty one for
/// a folder.
pub(crate) fn broken(path: &str, text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<Violation> {
    let leads = |target: &str| {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { path.to_owned() } else { joined(parent(path), file) };
        read(&file).is_some_and(|text| {
            anchor.is_empty()
                || !file.ends_with(".md")
                || prose(&text).any(|(_, line)| is_heading(line, anchor))
        })
    };
    let mut found = Vec::new();
    for (at, line) in prose(text) {
        let links = line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        let links = links.filter(|target| !target.contains(':') && !leads(target));
        let paths = line.split('`').skip(1).step_by(2).filter(|code| is_path(code, read));
        let paths = paths.filter(|path| read(path).is_none());
        found.extend(links.chain(paths).map(|target| Violation {
            rule: "link",
            message: format!("{path}:{at}: {target} leads nowhere"),
        }));
    }
    found
}

/// The lines outside code blocks, each with its number.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Whether `line` is the heading that `#anchor` leads to, by GitHub's rule.
fn is_heading(line: &str, anchor: &str) -> bool {
    let title = line.trim_start_matches('#');
    let kept = title.trim().chars().filter(|it| it.is_alphanumeric() || [' ', '-', '_'].contains(it));
    let slug: String = kept.flat_map(char::to_lowercase).map(|it| if it == ' ' { '-' } else { it }).collect();
    title.len() < line.len() && slug == anchor
}

/// Whether `code` is a path from the root: it begins with a folder there, and no part of it stands for others,
/// as `NAME` does.
fn is_path(code: &str, read: &dyn Fn(&str) -> Option<String>) -> bool {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || ['/', '.', '-', '_'].contains(&it);
    let stands_for_others = |part: &str| part.len() > 1 && part.chars().all(|it| it.is_ascii_uppercase());
    code.chars().all(is_plain)
        && !code.split('/').any(stands_for_others)
        && code.split_once('/').is_some_and(|(folder, _)| !folder.is_empty() && read(folder).is_some())
}

/// The path `target` as seen from `folder`.
fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
