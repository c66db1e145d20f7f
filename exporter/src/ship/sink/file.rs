//! A file of OTLP JSON, one export a line, as the OpenTelemetry Collector's file exporter writes it.
//!
//! A line is on the disk before its events are acknowledged, whole or not at all. The current file has the
//! configured path; when it would grow too large it becomes `.1`, that one `.2`, and the last goes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use crate::{destination::FileSettings, otlp::Outcome};

/// Writes lines to a file.
#[derive(Clone, Debug)]
pub struct FileSink {
    settings: FileSettings,
    open: Arc<Mutex<Option<Open>>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl FileSink {
    /// A sink; the file is opened with the first line.
    pub fn new(settings: FileSettings) -> Self {
        Self { settings, open: Arc::default() }
    }

    /// Appends a body, which ends its own line.
    pub async fn write(&self, body: Bytes) -> Outcome {
        let sink = self.clone();
        let written = tokio::task::spawn_blocking(move || sink.append(&body)).await;
        match written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => Outcome::Delivered { rejected: 0 },
            Err(error) => {
                let reason = format!("file: {error}");
                match error.kind() {
                    io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotFound
                    | io::ErrorKind::IsADirectory => Outcome::Misconfigured { reason },
                    _ => Outcome::Retry { after: None, reason },
                }
            }
        }
    }

    fn append(&self, body: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let mut current = match open.take() {
            Some(current) => current,
            None => self.start()?,
        };
        if current.length > 0 && current.length.saturating_add(size) > self.settings.max_bytes {
            self.rotate()?;
            current = self.start()?;
        }
        let written = current.file.write_all(body).and_then(|()| current.file.sync_data());
        if let Err(error) = written {
            // Half a line would spoil the next one.
            current.file.set_len(current.length)?;
            return Err(error);
        }
        current.length = current.length.saturating_add(size);
        *open = Some(current);
        Ok(())
    }

    fn start(&self) -> io::Result<Open> {
        let file = OpenOptions::new().create(true).append(true).open(&self.settings.path)?;
        let length = file.metadata()?.len();
        Ok(Open { file, length })
    }

    fn rotate(&self) -> io::Result<()> {
        let last = self.settings.max_files.saturating_sub(1);
        if last == 0 {
            return fs::remove_file(&self.settings.path);
        }
        for number in (1..last).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.settings.path, self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.settings.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(dir: &std::path::Path, max_files: u32) -> FileSink {
        FileSink::new(FileSettings { path: dir.join("spans.jsonl"), max_bytes: 12, max_files })
    }

    #[tokio::test]
    async fn lines_are_kept_in_so_many_files_of_such_a_size() {
        let dir = tempfile::tempdir().unwrap();
        let file = sink(dir.path(), 3);
        for line in ["a1\n", "a2\n", "b1 long long line\n", "c1\n", "c2\n", "c3\n", "c4\n", "d1\n"] {
            let outcome = file.write(Bytes::from_static(line.as_bytes())).await;
            assert_eq!(outcome, Outcome::Delivered { rejected: 0 });
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("spans.jsonl"), "d1\n");
        assert_eq!(read("spans.jsonl.1"), "c1\nc2\nc3\nc4\n");
        assert_eq!(read("spans.jsonl.2"), "b1 long long line\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[tokio::test]
    async fn a_new_sink_goes_on_where_the_last_one_ended() {
        let dir = tempfile::tempdir().unwrap();
        for line in ["a1\n", "a2\n"] {
            sink(dir.path(), 1).write(Bytes::from_static(line.as_bytes())).await;
        }
        assert_eq!(fs::read_to_string(dir.path().join("spans.jsonl")).unwrap(), "a1\na2\n");
    }

    #[tokio::test]
    async fn a_directory_that_is_missing_is_a_setting_to_change() {
        let outcome = sink(std::path::Path::new("/nowhere"), 2).write(Bytes::from_static(b"x\n")).await;
        assert!(matches!(outcome, Outcome::Misconfigured { .. }), "{outcome:?}");
    }
}
