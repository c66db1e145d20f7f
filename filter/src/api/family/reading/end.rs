//! Whether a response came to its end, by its API's own rules.
//!
//! A clean close proves little: a proxy or a provider that cuts a stream may close cleanly too.
//! Every API that streams ends with an explicit last event.

/// Most choices whose ends are awaited.
const CHOICES_MAX: u64 = 128;

/// How far a response has come.
#[derive(Debug, Default)]
pub(crate) struct End {
    state: State,
    /// The choices that have begun, and those that have ended, one bit each.
    begun: u128,
    ended: u128,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Awaited,
    /// The last event came, or the whole body.
    Reached,
    /// An error came instead.
    Failed,
}

impl End {
    /// The last event came. What failed before did not come to its end all the same.
    pub(crate) fn reach(&mut self) {
        if self.state == State::Awaited {
            self.state = State::Reached;
        }
    }

    /// An error came within the response.
    pub(crate) fn fail(&mut self) {
        if self.state == State::Awaited {
            self.state = State::Failed;
        }
    }

    /// Something came of a choice.
    pub(crate) fn begin_choice(&mut self, choice: u64) {
        self.begun |= bit(choice);
    }

    /// A choice has its finish reason; with those of all that have begun, the response has its end.
    pub(crate) fn end_choice(&mut self, choice: u64) {
        self.begin_choice(choice);
        self.ended |= bit(choice);
    }

    /// Whether the response came to its end.
    pub(crate) fn is_reached(&self) -> bool {
        self.state == State::Reached
            || (self.state == State::Awaited && self.begun != 0 && self.begun == self.ended)
    }

    /// Whether an error came in place of the end.
    pub(crate) fn has_failed(&self) -> bool {
        self.state == State::Failed
    }
}

fn bit(choice: u64) -> u128 {
    if choice < CHOICES_MAX { 1 << choice } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_ends_with_its_last_event_or_with_all_its_choices() {
        let mut end = End::default();
        assert!(!end.is_reached());
        end.begin_choice(0);
        end.begin_choice(127);
        end.end_choice(0);
        assert!(!end.is_reached());
        end.end_choice(127);
        end.begin_choice(128);
        assert!(end.is_reached());
        let mut end = End::default();
        end.reach();
        assert!(end.is_reached());
        end.fail();
        assert!(end.is_reached() && !end.has_failed(), "what follows the end changes nothing");
    }

    #[test]
    fn what_failed_did_not_come_to_its_end_whatever_follows() {
        let mut end = End::default();
        end.end_choice(0);
        end.fail();
        end.reach();
        assert!(end.has_failed() && !end.is_reached());
    }
}
