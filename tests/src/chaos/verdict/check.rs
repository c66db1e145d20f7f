//! One check of the verdict.

/// One thing that must hold.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// What, as a sentence.
    pub name: String,
    /// How many things it was looked for in.
    pub of: usize,
    /// Where it does not hold.
    pub violations: Vec<String>,
    /// Figures that go with it.
    pub note: String,
}

impl Check {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Looks at one more thing.
    pub(super) fn look(&mut self, wrong: Option<String>) {
        self.of += 1;
        self.violations.extend(wrong);
    }

    /// Compares two figures that must be the same.
    pub(super) fn equal(&mut self, what: &str, left: u64, right: u64) {
        self.look((left != right).then(|| format!("{what}: {left} and {right}")));
    }

    /// Compares two figures of which the first must not be the greater.
    pub(super) fn at_most(&mut self, what: &str, left: u64, right: u64) {
        self.look((left > right).then(|| format!("{what}: {left} is more than {right}")));
    }

    pub(super) fn noting(self, note: String) -> Self {
        Self { note, ..self }
    }
}
