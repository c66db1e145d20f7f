//! A wall clock that a test sets: by libfaketime, in whatever program is linked with the system's C library.
//! A monotonic clock goes on as it does.

use std::{ffi::OsString, fs, io, path::PathBuf};

use tempfile::TempDir;

use crate::system::tools;

/// A clock, and how far it is off.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    dir: TempDir,
}

impl Clock {
    /// One that is right.
    pub fn new() -> anyhow::Result<Self> {
        let clock = Self { library: tools::libfaketime()?, dir: TempDir::with_prefix("weir-clock-")? };
        clock.set(0)?;
        Ok(clock)
    }

    /// Puts it so many seconds ahead, or behind.
    pub fn set(&self, ahead: i64) -> io::Result<()> {
        let new = self.dir.path().join("new");
        fs::write(&new, format!("{ahead:+}\n"))?;
        fs::rename(new, self.file())
    }

    /// The environment of a process that goes by it.
    pub fn env(&self) -> Vec<(String, OsString)> {
        vec![
            ("LD_PRELOAD".to_owned(), self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE".to_owned(), self.file().into()),
            ("FAKETIME_NO_CACHE".to_owned(), "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".into()),
            ("DONT_FAKE_MONOTONIC".to_owned(), "1".into()),
        ]
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("ahead")
    }
}
