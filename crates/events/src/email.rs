//! An e-mail address.

use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress, Options};
use serde::Serialize;

/// A bare e-mail address: an unquoted local part and a domain name that the public DNS can hold (RFC 5321 §4.1.2, RFC 1123 §2.1).
///
/// No display name, no comment, no IP literal.
/// `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(String);

/// The text is not an address mail can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an e-mail address of at most {} bytes, such as name@example.com",
    Email::MAX_BYTES
)]
pub struct InvalidEmail;

impl Email {
    /// The longest path of RFC 5321 §4.5.3.1.3, without its angle brackets.
    pub const MAX_BYTES: usize = 254;

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let options = Options::default()
            .without_display_text()
            .without_domain_literal()
            .with_required_tld();
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        if text.len() > Self::MAX_BYTES || local.contains('"') || !is_domain(domain) {
            return Err(InvalidEmail);
        }
        match EmailAddress::parse_with_options(text, options) {
            Ok(address) => Ok(Self(address.into())),
            Err(_) => Err(InvalidEmail),
        }
    }
}

fn is_domain(domain: &str) -> bool {
    let top = domain.rsplit('.').next().unwrap_or_default();
    let named = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
    // A top-level name in another script, as the DNS holds it (RFC 5890 §2.3.2.1).
    let encoded = top.len() > 4 && top.to_ascii_lowercase().starts_with("xn--");
    (named || encoded) && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let letters = label.chars().all(|c| c.is_alphanumeric() || c == '-');
    letters && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_hidden() {
        let address: Email = " user@example.com ".parse().unwrap();
        assert_eq!(address.as_str(), "user@example.com");
        assert_eq!(format!("{address:?}"), "Email(…)");
        for bad in [
            "",
            "user",
            "user@",
            "user@localhost",
            "A <a@b.example>",
            "a@b.example\r\nx",
            "a@[127.0.0.1]",
            "\"a b\"@c.com",
            "\"a\"@c.com",
            "a@1.2",
            "a@ex_am.co",
            "a@b.c",
            "a@b.c0m",
            "a@-b.com",
            "a@b-.com",
            "a@b..com",
            "a@b.com.",
            "a@b!.com",
            "a..b@c.com",
            ".a@c.com",
            "a b@c.com",
            "a(note)@c.com",
            "a@b@c.com",
            "a\u{200b}@c.com",
            "a@\u{200b}c.com",
            &format!("{}@c.com", "a".repeat(65)),
            &format!("a@{}.com", "b".repeat(64)),
            &format!("a@{}com", "b1234567.".repeat(30)),
        ] {
            assert_eq!(bad.parse::<Email>(), Err(InvalidEmail), "{bad}");
        }
    }

    #[test]
    fn addresses_of_every_usual_form_are_taken() {
        for good in [
            "first.last+tag@mail.example.co.in",
            "o'brien_99@my-host.example",
            "a@1.2.example",
            "a@123.com",
            "a@xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g",
            &format!("{}@c.com", "a".repeat(64)),
            &format!("a@{}.com", "b".repeat(63)),
        ] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
    }
}
