//! `structure [ROOT] [PREFIX…]`: prints where the workspace at ROOT (here) breaks the rules of its
//! structure, or only what names a path that begins with a PREFIX. Its exit code is 1 when it does.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use weir_structure::{Tree, check};

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().unwrap_or_else(|| ".".to_owned());
    let prefixes: Vec<String> = arguments.collect();
    let mut found = check(&Tree::read(Path::new(&root))?);
    found.retain(|violation| {
        let mut words = violation.message.split_whitespace();
        prefixes.is_empty() || words.any(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)))
    });
    let mut out = std::io::stdout().lock();
    for violation in &found {
        writeln!(out, "{violation}")?;
    }
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for violation in &found {
        *rules.entry(violation.rule).or_default() += 1;
    }
    let rules: Vec<String> = rules.iter().map(|(rule, count)| format!("{rule} {count}")).collect();
    writeln!(out, "{} violations: {}", found.len(), rules.join(", "))?;
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
