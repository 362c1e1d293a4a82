//! What logs say of people.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use sandbox::Accepted;

use crate::stand_in::StandIn;

/// Digits of an Indian phone number, and of a PNR.
const DIGITS: usize = 10;

/// Lines of each log at most: one leak is in thousands of them.
const SHOWN: usize = 3;

/// What no line may hold: whole words, and names wherever they are.
struct Private {
    words: HashSet<String>,
    names: Vec<String>,
}

/// The first lines of each log of `folder` that name a person of these messages, their address, phone or whole PNR, or hold a secret.
///
/// # Errors
/// If the logs cannot be read.
pub(crate) fn lines_that_tell(folder: &Path, messages: &[Arc<Accepted>]) -> Result<Vec<String>> {
    let private = Private::of(messages);
    let mut found = Vec::new();
    for entry in folder.read_dir().context("no folder of logs")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let text = std::fs::read_to_string(&path)?;
            let told = text.lines().filter(|line| private.is_in(line));
            let told = told.take(SHOWN);
            found.extend(told.map(|line| format!("{}: {line}", path.display())));
        }
    }
    Ok(found)
}

impl Private {
    fn of(messages: &[Arc<Accepted>]) -> Self {
        let secrets = StandIn::CREDENTIALS.iter();
        let secrets = secrets.filter(|(name, _)| name.ends_with("TOKEN"));
        let mut words: HashSet<_> = secrets.map(|(_, value)| (*value).to_owned()).collect();
        for message in messages {
            words.insert(known_as(&message.recipient).to_owned());
            words.extend(message.pnr.as_ref().map(|pnr| pnr.as_str().to_owned()));
        }
        // Everybody is called so in the requests of the tests.
        let names = vec!["john doe".to_owned()];
        Self { words, names }
    }

    fn is_in(&self, line: &str) -> bool {
        let part = |letter: char| letter.is_ascii_alphanumeric() || "@.+_-".contains(letter);
        let words = line.split(|letter| !part(letter));
        let mut words = words.map(|word| word.trim_matches(['.', '-', '_']));
        let lower = line.to_ascii_lowercase();
        words.any(|word| self.words.contains(known_as(word)))
            || self.names.iter().any(|name| lower.contains(name))
    }
}

/// A phone number without its country code; anything else as it is.
fn known_as(word: &str) -> &str {
    let digits = word.trim_start_matches('+');
    let is_number = digits.len() > DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let start = digits.len().saturating_sub(DIGITS);
    let national = digits.get(start..).filter(|_| is_number);
    national.unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private() -> Private {
        let words = ["a.b@example.com", "9876543210", "4512345678", "test-token"];
        Private {
            words: words.map(str::to_owned).into(),
            names: vec!["john doe".to_owned()],
        }
    }

    #[test]
    fn a_person_is_found_however_a_line_writes_them() {
        for line in [
            r#"{"to":"a.b@example.com"}"#,
            "sent to <a.b@example.com>.",
            "phone +919876543210",
            "whatsapp:+919876543210",
            "phone=9876543210,",
            r#"{"pnr":"4512345678"}"#,
            "/api/v1/bookings/4512345678/cancel",
            "Dear JOHN DOE",
            "Bearer test-token",
        ] {
            assert!(private().is_in(line), "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for line in [
            r#"{"pnr":"45******78","event.id":"01a21855-0435-7a97-b94a-36bed660eb3a"}"#,
            "offset 4512345679",
            "trace 94512345678a",
            "example.com",
        ] {
            assert!(!private().is_in(line), "{line}");
        }
    }
}
