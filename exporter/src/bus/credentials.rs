//! A credentials file: a user's JWT and the seed of its nkey, as `nsc generate creds` writes them.
//!
//! It is read anew for every connection, so one that was replaced counts from the next on. No error shows a line
//! of it.

use std::{fs, io, path::Path};

use async_nats::Auth;
use nkeys::KeyPair;

/// The longest file that is read.
const MAX_FILE: u64 = 64 << 10;

/// What surrounds the JWT, and what the seed.
const PARTS: [&str; 2] = ["NATS USER JWT", "USER NKEY SEED"];

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unread(#[from] io::Error),
    /// It is too long.
    #[error("is over {MAX_FILE} bytes")]
    TooLong,
    /// A part is not there.
    #[error("has no {0}: it is not a file that `nsc generate creds` writes")]
    Without(&'static str),
    /// The seed is none.
    #[error("its {} is none", PARTS[1])]
    Seed,
}

/// What the file holds.
pub struct Credentials {
    jwt: String,
    key: KeyPair,
}

impl Credentials {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, CredentialsError> {
        if fs::metadata(file)?.len() > MAX_FILE {
            return Err(CredentialsError::TooLong);
        }
        let text = fs::read_to_string(file)?;
        let [jwt, seed] = PARTS.map(|part| between(&text, part).ok_or(CredentialsError::Without(part)));
        let jwt = jwt?.to_owned();
        // The reason could show some of it.
        let key = KeyPair::from_seed(seed?).map_err(|_| CredentialsError::Seed)?;
        Ok(Self { jwt, key })
    }

    /// Signs the nonce of a server that asks who connects.
    pub fn sign(self, nonce: &[u8]) -> Result<Auth, CredentialsError> {
        let signature = self.key.sign(nonce).map_err(|_| CredentialsError::Seed)?;
        let mut auth = Auth::new();
        auth.jwt = Some(self.jwt);
        auth.signature = Some(signature);
        Ok(auth)
    }
}

/// The one line between a part's BEGIN and its END.
fn between<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("---") && line.contains(&format!("BEGIN {part}")))?;
    lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Credentials, CredentialsError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("user.creds");
        fs::write(&file, text).unwrap();
        Credentials::read(&file)
    }

    #[test]
    fn a_files_two_parts_are_read_and_no_error_shows_a_line_of_it() {
        let key = KeyPair::new_user();
        let seed = key.seed().unwrap();
        let jwt = "-----BEGIN NATS USER JWT-----\r\neyJ0.eyJq.c2ln\r\n------END NATS USER JWT------\r\n\r\n";
        let whole = |seed: &str| {
            format!(
                "{jwt}NKEYs are secrets.\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
            )
        };
        let auth = written(&whole(&seed)).unwrap().sign(b"nonce").unwrap();
        assert_eq!(auth.jwt.as_deref(), Some("eyJ0.eyJq.c2ln"));
        assert!(key.verify(b"nonce", &auth.signature.unwrap()).is_ok());

        for (text, says) in [
            (jwt.to_owned(), "has no USER NKEY SEED"),
            (whole("SUNOSEED"), "its USER NKEY SEED is none"),
            (seed.clone(), "has no NATS USER JWT"),
            ("x".repeat(70_000), "is over 65536 bytes"),
        ] {
            let error = written(&text).err().unwrap().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("eyJ0") && !error.contains("SUNO") && !error.contains(&seed), "{error}");
        }
    }
}
