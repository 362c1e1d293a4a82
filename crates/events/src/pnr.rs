//! The passenger name record number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A PNR: ten digits, the first not 0 (Indian Railways; there is no check digit).
///
/// `Debug` shows it masked, `Display` in full: log with `Debug` or [`Pnr::masked`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pnr(String);

/// The text is not ten digits of which the first is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 10 digits, the first not 0")]
pub struct InvalidPnr;

impl Pnr {
    /// The ten digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for logs: `24******78`.
    pub fn masked(&self) -> String {
        let (head, rest) = self.0.split_at(2);
        let (_, tail) = rest.split_at(6);
        format!("{head}******{tail}")
    }
}

impl FromStr for Pnr {
    type Err = InvalidPnr;

    fn from_str(text: &str) -> Result<Self, InvalidPnr> {
        let digits = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits && !text.starts_with('0') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPnr)
        }
    }
}

impl TryFrom<String> for Pnr {
    type Error = InvalidPnr;

    fn try_from(text: String) -> Result<Self, InvalidPnr> {
        text.parse()
    }
}

impl From<Pnr> for String {
    fn from(pnr: Pnr) -> Self {
        pnr.0
    }
}

impl fmt::Display for Pnr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pnr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pnr_is_ten_digits_not_starting_with_zero() {
        assert!("2412345678".parse::<Pnr>().is_ok());
        for bad in [
            "",
            "0412345678",
            "241234567",
            "24123456789",
            "24123a5678",
            "२४१२३४५६७८",
        ] {
            assert_eq!(bad.parse::<Pnr>(), Err(InvalidPnr), "{bad}");
        }
    }

    #[test]
    fn debug_never_shows_the_whole_number() {
        let pnr: Pnr = "2412345678".parse().unwrap();
        assert_eq!(format!("{pnr:?}"), "24******78");
    }
}
