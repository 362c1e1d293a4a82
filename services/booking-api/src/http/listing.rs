//! The query of a list.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use url::form_urlencoded;

use crate::answer::{Kind, Problem};
use crate::store::Filter;

/// Bookings on a page, unless the client says (contract, "limit").
pub(super) const DEFAULT_LIMIT: i64 = 50;

/// Bookings on a page at most (contract, "limit").
pub(super) const MAX_LIMIT: i64 = 200;

/// Which page of which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) filter: Filter,
    pub(super) limit: i64,
}

impl Listing {
    pub(super) fn read(query: &str) -> Result<Self, Problem> {
        let mut listing = Self {
            filter: Filter::default(),
            limit: DEFAULT_LIMIT,
        };
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.contains(&name) {
                return Err(invalid(&name, "must be given once"));
            }
            listing.set(&name, &value)?;
            seen.push(name);
        }
        Ok(listing)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "userId" => {
                let user = value.parse().ok().filter(|user| *user > 0);
                let user = user.ok_or_else(|| invalid(name, "must be a whole number from 1"))?;
                self.filter.user_id = Some(user);
            }
            "status" => {
                let status = value
                    .parse()
                    .map_err(|rule: events::UnknownWord| invalid(name, &rule.to_string()))?;
                self.filter.status = Some(status);
            }
            "limit" => {
                let limit = value.parse().ok();
                let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
                let rule = format!("must be a whole number from 1 to {MAX_LIMIT}");
                self.limit = limit.ok_or_else(|| invalid(name, &rule))?;
            }
            "cursor" => {
                let before = read_cursor(value);
                let rule = "must be a nextCursor of an earlier answer";
                self.filter.before = Some(before.ok_or_else(|| invalid(name, rule))?);
            }
            _unknown => return Err(invalid(name, "is not a known query parameter")),
        }
        Ok(())
    }
}

fn invalid(name: &str, rule: &str) -> Problem {
    let name: String = name.chars().take(40).collect();
    Problem::new(Kind::InvalidParameter, format!("{name} {rule}"))
}

/// A place in the list: the number of the last booking before it, opaque to clients.
pub(super) fn cursor(last_booking: i64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last_booking.to_be_bytes())
}

fn read_cursor(text: &str) -> Option<i64> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let number = i64::from_be_bytes(bytes.try_into().ok()?);
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use events::BookingStatus;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_without_parameters_is_everything_in_pages_of_50() {
        let listing = Listing::read("").unwrap();
        assert_eq!((listing.filter, listing.limit), (Filter::default(), 50));
    }

    #[test]
    fn every_parameter_is_read() {
        let query = format!("userId=7&status=CANCELLED&limit=200&cursor={}", cursor(42));
        let listing = Listing::read(&query).unwrap();
        let filter = Filter {
            user_id: Some(7),
            status: Some(BookingStatus::Cancelled),
            before: Some(42),
        };
        assert_eq!((listing.filter, listing.limit), (filter, 200));
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for (query, name) in [
            ("userId=x", "userId"),
            ("userId=", "userId"),
            ("userId=0", "userId"),
            ("status=confirmed", "status"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=1&limit=2", "limit"),
            ("cursor=!!", "cursor"),
            ("cursor=AAAA", "cursor"),
            ("page=2", "page"),
        ] {
            let body = Listing::read(query).unwrap_err().body("/", None);
            assert!(
                body.contains(&format!("\"detail\":\"{name} ")),
                "{query}: {body}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_cursor_is_read_back(number in 1..=i64::MAX) {
            prop_assert_eq!(read_cursor(&cursor(number)), Some(number));
        }

        #[test]
        fn no_cursor_makes_it_panic(text in ".{0,20}") {
            let _outcome = read_cursor(&text);
        }
    }
}
