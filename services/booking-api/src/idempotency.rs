//! Idempotency keys: which request a key belongs to, and which are being worked on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// How long an answer is kept for its key (contract, "Idempotency-Key").
pub(crate) const KEPT: Duration = Duration::from_hours(24);

/// A key's longest text (contract, "Idempotency-Key").
pub(crate) const MAX_CHARACTERS: usize = 255;

/// A request that may come twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Method, path and key: the same key on another path is another request.
    pub(crate) scope_key: String,
    /// Of the body: the same key with another body is a mistake.
    pub(crate) fingerprint: String,
}

impl Claim {
    pub(crate) fn new(method: &str, path: &str, key: &str, body: &[u8]) -> Self {
        Self {
            scope_key: format!("{method} {path} {key}"),
            fingerprint: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body)),
        }
    }
}

/// The header is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Idempotency-Key must be 1 to {MAX_CHARACTERS} visible characters, bare or in double quotes"
)]
pub(crate) struct InvalidKey;

/// Reads `Idempotency-Key`: bare, or a string in quotes (RFC 8941 §3.3.3, draft-ietf-httpapi-idempotency-key-header).
pub(crate) fn read_key(header: &str) -> Result<String, InvalidKey> {
    let header = header.trim();
    let key = match header.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => header.to_owned(),
    };
    let visible = |c: char| c.is_ascii_graphic() || c == ' ';
    let blank = key.trim().is_empty();
    if blank || key.chars().count() > MAX_CHARACTERS || !key.chars().all(visible) {
        return Err(InvalidKey);
    }
    Ok(key)
}

/// What follows the opening quote, without escapes, up to the closing one at the end.
fn unquote(quoted: &str) -> Result<String, InvalidKey> {
    let mut key = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next() {
            Some('"') if rest.as_str().is_empty() => return Ok(key),
            Some('\\') => match rest.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                Some(_) | None => return Err(InvalidKey),
            },
            Some('"') | None => return Err(InvalidKey),
            Some(other) => key.push(other),
        }
    }
}

/// The requests this process is working on. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Mutex<BTreeSet<String>>>);

/// Keeps a request in flight until it is dropped, whatever becomes of the client.
#[derive(Debug)]
pub(crate) struct Turn {
    in_flight: InFlight,
    scope_key: String,
}

impl InFlight {
    /// Enters a request, unless it is in flight already.
    pub(crate) fn enter(&self, scope_key: &str) -> Option<Turn> {
        let fresh = self.lock().insert(scope_key.to_owned());
        fresh.then(|| Turn {
            in_flight: self.clone(),
            scope_key: scope_key.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.scope_key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_the_same_bare_and_quoted() {
        for (header, key) in [
            ("8e03978e-40d5", "8e03978e-40d5"),
            ("\"8e03978e-40d5\"", "8e03978e-40d5"),
            (" k ", "k"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
        ] {
            assert_eq!(read_key(header).as_deref(), Ok(key), "{header}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(256);
        for bad in [
            "",
            "\"\"",
            "  ",
            "\"a",
            "\"a\"b",
            r#""a\b""#,
            "\"a\u{e9}\"",
            "a\tb",
            &long,
        ] {
            assert_eq!(read_key(bad), Err(InvalidKey), "{bad:?}");
        }
        assert!(read_key(&"k".repeat(255)).is_ok());
    }

    #[test]
    fn a_request_is_in_flight_until_its_turn_is_dropped() {
        let in_flight = InFlight::default();
        let turn = in_flight.enter("a").unwrap();
        assert!(in_flight.enter("a").is_none());
        assert!(in_flight.enter("b").is_some());
        drop(turn);
        assert!(in_flight.enter("a").is_some());
    }

    proptest! {
        #[test]
        fn every_visible_key_survives_quoting(key in "[!-~]{1,255}") {
            let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
            prop_assert_eq!(read_key(&quoted), Ok(key));
        }
    }
}
