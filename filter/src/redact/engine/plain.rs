//! Redaction of a plain text in one piece.

use std::borrow::Cow;

use crate::redact::detectors::names::Set;
use crate::redact::engine::compiled::{Detectors, Hit, Part};
use crate::redact::engine::counts::Counts;
use crate::redact::engine::replace::Replace;
use crate::redact::text::fold::Reading;
use crate::redact::text::placeholder::Form;
use crate::redact::text::slices::{now, rest};

impl Detectors {
    /// Replaces every match; borrows the text if there is none.
    pub fn redact<'t>(
        &self,
        set: Set,
        text: &'t str,
        replace: &mut dyn Replace,
        counts: &mut Counts,
    ) -> Cow<'t, str> {
        now(self.redact_in_slices(set, text, replace, counts))
    }

    /// The same, with pauses.
    pub(crate) async fn redact_in_slices<'t>(
        &self,
        set: Set,
        text: &'t str,
        replace: &mut dyn Replace,
        counts: &mut Counts,
    ) -> Cow<'t, str> {
        let hits = self.search(set, &Part::whole(text, Reading::Plain, replace.form())).await.hits;
        if hits.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for Hit { range, detector } in hits {
            out.push_str(text.get(at..range.start).unwrap_or_default());
            at = range.end;
            counts.add(detector);
            let value = text.get(range).unwrap_or_default();
            replace.replace(detector, self.label(detector), value, &mut out);
            rest().await;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Counts the matches of each detector, without replacing them.
    pub fn count(&self, set: Set, text: &str) -> Counts {
        let mut counts = Counts::default();
        for hit in self.find(set, &Part::whole(text, Reading::Plain, Form::Mask)).hits {
            counts.add(hit.detector);
        }
        counts
    }
}
