//! The users of NATS.

/// A user of NATS, which is a part of the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Stores events, and can read none.
    Ingest,
    /// Puts the streams in place, reads events, keeps the ledgers and the dead letters.
    Ship,
    /// Reads and writes settings, and nothing of events.
    Settings,
}

impl User {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Ship, Self::Settings];

    /// Its name: that of its directory, too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Ship => "ship",
            Self::Settings => "settings",
        }
    }
}
