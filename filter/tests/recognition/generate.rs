//! Random texts of a regular expression, the same in every run.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Most repetitions beyond the fewest, where a pattern sets no other bound.
const MORE_MAX: u32 = 24;

/// A source of random texts.
pub(crate) struct Generator(u64);

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    /// Returns a text that a pattern matches; `None` if it is not a pattern of Rust's syntax.
    pub(crate) fn text(&mut self, pattern: &str) -> Option<String> {
        let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).ok()?;
        let mut out = String::new();
        self.write(&hir, &mut out);
        Some(out)
    }

    /// Writes a text that an expression matches.
    pub(crate) fn write(&mut self, hir: &Hir, out: &mut String) {
        match hir.kind() {
            HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(Class::Unicode(class)) => {
                let ranges: Vec<(u32, u32)> = class
                    .iter()
                    .map(|range| (u32::from(range.start()).max(0x21), u32::from(range.end()).min(0x7e)))
                    .filter(|(start, end)| start <= end)
                    .collect();
                let count = ranges.iter().map(|(start, end)| end - start + 1).sum::<u32>();
                let mut left = self.below(count as usize) as u32;
                for (start, end) in ranges {
                    if left <= end - start {
                        out.extend(char::from_u32(start + left));
                        break;
                    }
                    left -= end - start + 1;
                }
            }
            HirKind::Repetition(repetition) => {
                let most = repetition.max.unwrap_or(repetition.min + MORE_MAX);
                let most = most.min(repetition.min + MORE_MAX);
                let count = repetition.min as usize + self.below((most - repetition.min) as usize + 1);
                (0..count).for_each(|_| self.write(&repetition.sub, out));
            }
            HirKind::Capture(capture) => self.write(&capture.sub, out),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.write(part, out)),
            HirKind::Alternation(parts) => {
                let part = self.below(parts.len());
                parts.get(part).into_iter().for_each(|part| self.write(part, out));
            }
            HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => {}
        }
    }
}

/// Returns the first group of a pattern that begins at the edge of a word and encloses nothing but a key, as
/// the patterns of keys with a prefix do.
pub(crate) fn bare_key(pattern: &str) -> Option<Hir> {
    let hir = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern).ok()?;
    let HirKind::Concat(parts) = hir.kind() else { return None };
    match parts.as_slice() {
        [edge, key, ..] if matches!(edge.kind(), HirKind::Look(_)) => match key.kind() {
            HirKind::Capture(capture) => Some((*capture.sub).clone()),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn what_is_generated_has_the_form() {
    let text = Generator::new(1).text(r"\b(ab_[a-f]{4}\d{2,3})(?:$)").unwrap();
    assert!(text.starts_with("ab_") && (9..=10).contains(&text.len()), "{text}");
    assert!(bare_key(r"\b(ab_[a-f]{4})(?:[;]|$)").is_some() && bare_key("a(b)").is_none());
}
