//! A telephone number.

use std::fmt;
use std::str::FromStr;

/// A number in E.164: `+`, country code, subscriber number, 7 to 15 digits in all (ITU-T E.164 §6).
///
/// An Indian mobile number is taken in any usual spelling: ten digits starting with 6 to 9, with or without `0`, `91`, `+91` or `0091` before them, with spaces, dots, hyphens and brackets (libphonenumber's metadata for India).
/// Any other country's number needs its `+` or `00`.
/// A zero in brackets after a country code is the one dialled only at home: it is dropped.
/// `Debug` shows it masked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

/// The text is neither an Indian mobile number nor an E.164 number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an Indian mobile number or a number in E.164 form such as +919876543210")]
pub struct InvalidPhone;

const INDIA: &str = "+91";

/// The zero of `+44 (0)20 …`.
const TRUNK: &str = "(0)";

impl Phone {
    /// `+919876543210`.
    pub fn e164(&self) -> &str {
        &self.0
    }

    /// The form of the event's `userPhone`: ten digits for an Indian mobile number, as in the specification's sample, E.164 for any other.
    pub fn wire(&self) -> &str {
        let national = self.0.strip_prefix(INDIA);
        national
            .filter(|national| is_mobile(national))
            .unwrap_or(&self.0)
    }

    /// The form for logs: `+91******3210`.
    pub fn masked(&self) -> String {
        let (head, rest) = self.0.split_at(3);
        let (_, tail) = rest.split_at(rest.len() - (rest.len() / 2).min(4));
        format!("{head}******{tail}")
    }

    fn indian(national: &str) -> Option<Self> {
        is_mobile(national).then(|| Self(format!("{INDIA}{national}")))
    }

    fn international(digits: &str) -> Option<Self> {
        // In India every number has ten digits without the zero dialled at home: fewer or more are a slip of the finger.
        if let Some(national) = digits.strip_prefix("91") {
            let national = national.strip_prefix('0').unwrap_or(national);
            let shape = national.len() == 10 && !national.starts_with('0');
            return shape.then(|| Self(format!("{INDIA}{national}")));
        }
        let shape = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
        shape.then(|| Self(format!("+{digits}")))
    }

    /// Ten digits are always the national number, even when they begin with 91.
    fn national(digits: &str) -> Option<Self> {
        match digits.len() {
            10 => Self::indian(digits),
            11 => digits.strip_prefix('0').and_then(Self::indian),
            12 => digits.strip_prefix("91").and_then(Self::indian),
            _ => digits.strip_prefix("00").and_then(Self::international),
        }
    }
}

/// Of an Indian number without `+91`.
fn is_mobile(national: &str) -> bool {
    national.len() == 10 && national.starts_with(['6', '7', '8', '9'])
}

/// What may stand between digits: some address books put marks of direction around a number.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '-' | '.' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

impl FromStr for Phone {
    type Err = InvalidPhone;

    fn from_str(text: &str) -> Result<Self, InvalidPhone> {
        let mut bare: String = text.chars().filter(|c| !is_separator(*c)).collect();
        if bare.starts_with(['+', '(']) || bare.starts_with("00") {
            bare = bare.replacen(TRUNK, "", 1);
        }
        bare.retain(|c| !matches!(c, '(' | ')'));
        let (international, digits) = match bare.strip_prefix('+') {
            Some(digits) => (true, digits),
            None => (false, bare.as_str()),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidPhone);
        }
        let phone = if international {
            Self::international(digits)
        } else {
            Self::national(digits)
        };
        phone.ok_or(InvalidPhone)
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_spelling_of_an_indian_mobile_is_one_number() {
        for text in [
            "9876543210",
            "09876543210",
            "919876543210",
            "+91 98765-43210",
            "0091 9876543210",
            "+91 (0) 98765 43210",
        ] {
            assert_eq!(
                text.parse::<Phone>().unwrap().e164(),
                "+919876543210",
                "{text}"
            );
        }
        assert_eq!(
            "9198765432".parse::<Phone>().unwrap().e164(),
            "+919198765432"
        );
        for text in [
            "+44 (0)7911 123456",
            "+44(0) 7911-123456",
            "0044 ( 0 ) 7911 123456",
            "+44 7911 123456",
            "\u{202a}+44 7911 123456\u{202c}",
        ] {
            let phone = text.parse::<Phone>().unwrap();
            assert_eq!(phone.e164(), "+447911123456", "{text}");
        }
        assert_eq!(
            "(0)98765 43210".parse::<Phone>().unwrap().e164(),
            "+919876543210"
        );
        assert_eq!(
            "+1 (631) 555-0123".parse::<Phone>().unwrap().e164(),
            "+16315550123"
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in [
            "5876543210",
            "98765",
            "+91 11 2345 678",
            "+91 98765",
            "",
            "98765432101",
            "+",
            "+0123456789",
            "phone",
            "+123456",
        ] {
            assert_eq!(bad.parse::<Phone>(), Err(InvalidPhone), "{bad}");
        }
    }

    #[test]
    fn the_event_carries_ten_digits_for_india_and_e164_elsewhere() {
        assert_eq!(
            "+919876543210".parse::<Phone>().unwrap().wire(),
            "9876543210"
        );
        assert_eq!(
            "+16315550123".parse::<Phone>().unwrap().wire(),
            "+16315550123"
        );
        for landline in ["+91 11 2345 6789", "+91 (0)11 2345 6789"] {
            let phone = landline.parse::<Phone>().unwrap();
            assert_eq!(phone.wire(), "+911123456789");
            assert_eq!(phone.wire().parse::<Phone>(), Ok(phone.clone()));
        }
        assert_eq!("+683 4002".parse::<Phone>().unwrap().wire(), "+6834002");
        assert_eq!(
            format!("{:?}", "9876543210".parse::<Phone>().unwrap()),
            "+91******3210"
        );
    }
}
