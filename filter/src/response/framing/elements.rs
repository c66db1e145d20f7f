//! The elements of a JSON array: how Gemini streams where server-sent events are not asked for (Gemini
//! API, "models.streamGenerateContent"). Only objects are elements.

/// What was found, by where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An element of the array.
    Element(usize),
    /// An object without an array around it.
    Bare(usize),
    /// White space, the opening bracket, or a comma.
    Between(usize),
    /// The closing bracket.
    Close(usize),
    /// What is no object.
    Odd(usize),
}

/// Finds where elements end in what is held of a stream.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    at: usize,
    /// How many brackets are open, that of the array included.
    depth: usize,
    /// The array has begun.
    in_array: bool,
    inside: Inside,
    in_string: bool,
    escaped: bool,
}

/// What is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Inside {
    #[default]
    Nothing,
    Object,
    /// A value that is no object.
    Other,
}

impl Scan {
    /// The next part of what is held from `from` on; `None` where more of it has to come.
    pub fn next(&mut self, held: &[u8], from: usize) -> Option<Found> {
        self.at = self.at.max(from);
        while let Some(byte) = held.get(self.at) {
            if self.in_string {
                let rest = held.get(self.at..).unwrap_or_default();
                if std::mem::take(&mut self.escaped) {
                    self.at += 1;
                    continue;
                }
                let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                    self.at = held.len();
                    return None;
                };
                self.at += found + 1;
                match rest.get(found) {
                    Some(b'"') => self.in_string = false,
                    _ => self.escaped = true,
                }
                if let (false, Some(found)) = (self.in_string, self.ended()) {
                    return Some(found);
                }
                continue;
            }
            self.at += 1;
            match (byte, self.inside) {
                (b'"', Inside::Object | Inside::Other) => self.in_string = true,
                (b'{' | b'[', Inside::Object | Inside::Other) => self.depth += 1,
                (b'}' | b']', Inside::Object | Inside::Other) => {
                    self.depth = self.depth.saturating_sub(1);
                    if let Some(found) = self.ended() {
                        return Some(found);
                    }
                }
                (_, Inside::Object | Inside::Other) => {}
                (b'{', Inside::Nothing) => (self.inside, self.depth) = (Inside::Object, self.depth + 1),
                (b'[', Inside::Nothing) if !self.in_array => {
                    (self.in_array, self.depth) = (true, 1);
                    return Some(Found::Between(self.at));
                }
                (b'[', Inside::Nothing) => (self.inside, self.depth) = (Inside::Other, self.depth + 1),
                (b'"', Inside::Nothing) if self.in_array => {
                    (self.inside, self.in_string) = (Inside::Other, true);
                }
                (b']', Inside::Nothing) if self.in_array => {
                    (self.in_array, self.depth) = (false, 0);
                    return Some(Found::Close(self.at));
                }
                (b',', Inside::Nothing) if self.in_array => return Some(Found::Between(self.at)),
                (b' ' | b'\t' | b'\r' | b'\n', Inside::Nothing) => return Some(Found::Between(self.at)),
                _ => return Some(Found::Odd(self.at)),
            }
        }
        None
    }

    /// What is open, if anything.
    pub fn inside(&self) -> Inside {
        self.inside
    }

    /// Forgets so many bytes, which are no longer held.
    pub fn forget(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
    }

    /// What ends here, where all its brackets are closed.
    fn ended(&mut self) -> Option<Found> {
        if self.depth != usize::from(self.in_array) {
            return None;
        }
        Some(match (std::mem::take(&mut self.inside), self.in_array) {
            (Inside::Object, true) => Found::Element(self.at),
            (Inside::Object, false) => Found::Bare(self.at),
            (Inside::Other | Inside::Nothing, _) => Found::Odd(self.at),
        })
    }
}
