//! What is done with a response beside reading it.

use weir_event::v1;

use crate::headers::Headers;
use crate::host::Host;
use crate::refusal::Refusal;
use crate::response::framing::form::Form;
use crate::response::framing::opening::Opening;
use crate::response::redact;
use crate::response::redact::ResponseRedaction;

/// What is done with a response beside reading it.
#[derive(Debug, Default)]
pub enum Rewriting {
    /// Nothing.
    #[default]
    None,
    /// As its first bytes will show. So many bytes of white space were read so far.
    Open(Box<ResponseRedaction>, Form, usize),
    /// It is held until it is whole. So many bytes of it were read so far.
    Whole(Box<redact::whole::Whole>, usize),
    /// It is rewritten as it flows.
    Stream(Box<redact::stream::Stream>),
}

impl Rewriting {
    /// How a response with these headers is rewritten; the refusal goes out instead of one that cannot be. A
    /// response that says that it is a stream is rewritten as one.
    pub fn of(response_redaction: ResponseRedaction, headers: &Headers) -> Result<Self, Refusal> {
        let api = response_redaction.api();
        let form = Form::of(api, headers);
        if form != Form::Events && form.is_open(api, headers) {
            return Ok(Self::Open(Box::new(response_redaction), form, 0));
        }
        Self::settled(response_redaction, form)
    }

    fn settled(response_redaction: ResponseRedaction, form: Form) -> Result<Self, Refusal> {
        Ok(match response_redaction.readable(form) {
            Form::Unknown => response_redaction.unreadable().map_or(Ok(Self::None), Err)?,
            form @ (Form::Json | Form::Text) => {
                Self::Whole(Box::new(redact::whole::Whole::new(response_redaction, form)), 0)
            }
            form @ (Form::Events | Form::Elements) => {
                Self::Stream(Box::new(redact::stream::Stream::new(response_redaction, form)))
            }
        })
    }

    /// Looks at what has come of a response whose form is open, of which `size` bytes are buffered. `None`
    /// where they do not show it yet; else it is settled, and the refusal goes out instead of the response.
    pub fn settle(
        &mut self,
        host: &impl Host,
        size: usize,
        is_end: bool,
        held_max: usize,
    ) -> Option<Result<Form, Refusal>> {
        let Self::Open(response_redaction, by_type, read) = self else { return None };
        let fresh = host.response_chunk(*read, size.saturating_sub(*read));
        let form = match Opening::of(&fresh) {
            Opening::Is(shape) => by_type.seen(response_redaction.api(), shape),
            Opening::Blank if !is_end && size <= held_max => {
                *read = size;
                return None;
            }
            Opening::Unclear if !is_end => return None,
            Opening::Blank | Opening::Unclear => *by_type,
        };
        let Self::Open(response_redaction, ..) = std::mem::take(self) else { return None };
        Some(Self::settled(*response_redaction, form).map(|settled| {
            *self = settled;
            form
        }))
    }

    /// How many bytes were read of a response that is held before it is rewritten; `None` for another one.
    pub fn awaited(&self) -> Option<usize> {
        match self {
            Self::Open(_, _, read) | Self::Whole(_, read) => Some(*read),
            Self::None | Self::Stream(_) => None,
        }
    }

    /// Bytes allocated, beside the values that are restored.
    pub fn allocated(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Open(..) => size_of::<ResponseRedaction>(),
            Self::Whole(..) => size_of::<redact::whole::Whole>(),
            Self::Stream(stream) => stream.allocated(),
        }
    }

    /// The code of what stopped a stream, where something did.
    pub fn stopped(&self) -> Option<&'static str> {
        if let Self::Stream(stream) = self { stream.stopped() } else { None }
    }

    /// How many bytes of a stream are held.
    pub fn held(&self) -> usize {
        match self {
            Self::Stream(stream) => stream.held(),
            Self::None | Self::Open(..) | Self::Whole(..) => 0,
        }
    }

    /// What was found and restored.
    pub fn report(self) -> Vec<v1::Redaction> {
        match self {
            Self::None | Self::Open(..) => Vec::new(),
            Self::Whole(whole, _) => whole.report(),
            Self::Stream(stream) => stream.report(),
        }
    }
}
