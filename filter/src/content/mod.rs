//! What of a request's content is kept for its event.
//!
//! While the request is under way, its body and its answer are held as they are, within the VM's
//! budget; they are made short, and freed of binary data, when all is over and nobody waits.

pub mod abridge;
pub mod blob;
pub mod budget;

use std::fmt;
use std::rc::Rc;

use weir_event::v1;

use self::abridge::{Abridged, Limits, abridge};
use self::budget::{Budget, Room};
use crate::answer::Transcript;
use crate::config::Capture;
use crate::stream::pieces::{LONG, Pieces};

/// Most bytes of a response in one piece that are held as they are; of a longer one what is small is
/// read all the same.
const WHOLE_MAX: usize = 64 << 10;
/// How many strings of the longest length fit into the limit of a body.
const LONG_STRINGS: usize = 4;

/// The content of one request.
#[derive(Default)]
pub struct Content {
    capture: v1::Capture,
    limit: usize,
    #[allow(dead_code, reason = "gives its room back when it is dropped")]
    room: Option<Room>,
    request: Vec<u8>,
    /// How many characters the request's texts have, for an estimate of its tokens.
    pub characters: u64,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("capture", &self.capture).finish_non_exhaustive()
    }
}

impl Content {
    /// Keeps the body of a request that is let go, if content is kept and there is room.
    pub fn begin(capture: &Capture, budget: &Rc<Budget>, body: Vec<u8>, characters: u64) -> Self {
        let limit = capture.limit;
        if !capture.keep {
            return Self { capture: v1::Capture::Excluded, characters, ..Self::default() };
        }
        let mut room = Room::new(budget);
        if !room.take(body.len()) {
            return Self { capture: v1::Capture::NoRoom, characters, ..Self::default() };
        }
        Self { capture: v1::Capture::Kept, limit, room: Some(room), request: body, characters }
    }

    /// Where the content of a stream goes.
    pub fn transcript(&self, budget: &Rc<Budget>) -> Transcript {
        match self.capture {
            v1::Capture::Kept => Transcript::keeping(self.limit, Room::new(budget)),
            _ => Transcript::counting(),
        }
    }

    /// Where a response in one piece is held.
    pub fn whole(&self) -> Pieces {
        Pieces::new(WHOLE_MAX, if self.capture == v1::Capture::Kept { limits(self.limit) } else { LONG })
    }

    /// What is held of a message of a stream that is long and comes in pieces.
    pub fn of_long_messages(&self) -> Limits {
        match self.capture {
            v1::Capture::Kept => Limits { string: self.limit, total: self.limit },
            _ => LONG,
        }
    }

    /// All is over: what goes into the event, with what was `read` of the response; `None` where nothing
    /// was asked that was let go.
    pub fn finish(self, read: Read) -> Option<v1::Content> {
        let mut content = v1::Content { capture: self.capture.into(), ..Default::default() };
        match self.capture {
            v1::Capture::Unspecified => return None,
            v1::Capture::Excluded | v1::Capture::NoRoom => return Some(content),
            v1::Capture::Kept => {}
        }
        if let Some(Abridged { json, shortened }) = abridge(&self.request, limits(self.limit)) {
            content.request = without_data(json).into();
            content.request_shortened = shortened;
        }
        if let Some((body, was_shortened)) = read.body
            && let Some(Abridged { json, shortened }) = abridge(&body, limits(self.limit))
        {
            content.response = without_data(json).into();
            content.response_shortened = was_shortened || shortened;
        }
        let (outputs, error_message, shortened) = read.transcript.finish();
        content.response_shortened |= shortened;
        content.outputs = outputs;
        content.error_message = error_message;
        Some(content)
    }
}

/// What was read of a response.
#[derive(Debug, Default)]
pub struct Read {
    /// What a stream said, as far as it is kept.
    pub transcript: Transcript,
    /// The body of a response in one piece, and whether it was made short.
    pub body: Option<(Vec<u8>, bool)>,
}

fn limits(total: usize) -> Limits {
    Limits { string: total / LONG_STRINGS, total }
}

fn without_data(json: Vec<u8>) -> Vec<u8> {
    blob::without_data_urls(&json).unwrap_or(json)
}
