//! The query of `GET /api/messages`.

use std::fmt::Display;
use std::str::FromStr;

use events::Channel;

use crate::ledger::Filter;

/// Messages in an answer unless `limit` says otherwise.
const LIMIT: usize = 100;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) filter: Filter,
    /// Whether the HTML of mails is wanted too.
    pub(super) html: bool,
}

/// A parameter that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidParameter {
    pub(super) parameter: String,
    pub(super) detail: String,
}

impl Query {
    pub(super) fn of(channel: Channel) -> Self {
        Self {
            filter: Filter {
                channel: Some(channel),
                ..Filter::default()
            },
            html: true,
        }
    }

    pub(super) fn parse(query: &str) -> Result<Self, InvalidParameter> {
        let mut parsed = Self {
            filter: Filter {
                limit: Some(LIMIT),
                ..Filter::default()
            },
            html: true,
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            // An empty field of a form narrows nothing.
            if value.is_empty() {
                continue;
            }
            match &*name {
                "channel" => parsed.filter.channel = Some(read(&name, &value)?),
                "pnr" => parsed.filter.pnr = Some(read(&name, &value)?),
                "eventId" => parsed.filter.event_id = Some(read(&name, &value)?),
                "recipient" => parsed.filter.recipient = Some(value.into_owned()),
                "limit" => parsed.filter.limit = Some(read(&name, &value)?),
                "html" => parsed.html = read(&name, &value)?,
                _ => return Err(invalid(&name, "is not known")),
            }
        }
        Ok(parsed)
    }
}

fn read<T: FromStr>(name: &str, value: &str) -> Result<T, InvalidParameter>
where
    T::Err: Display,
{
    value
        .parse()
        .map_err(|error: T::Err| invalid(name, &error.to_string()))
}

fn invalid(name: &str, detail: &str) -> InvalidParameter {
    InvalidParameter {
        parameter: name.to_owned(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_narrows_and_an_empty_one_does_not() {
        let query =
            Query::parse("channel=sms&pnr=2412345678&eventId=evt-1&limit=5&recipient=").unwrap();
        assert_eq!(query.filter.channel, Some(Channel::Sms));
        assert_eq!(query.filter.pnr.unwrap().as_str(), "2412345678");
        assert_eq!(query.filter.event_id.unwrap().as_str(), "evt-1");
        assert_eq!(
            (query.filter.limit, query.filter.recipient),
            (Some(5), None)
        );
        for (bad, name) in [
            ("channel=fax", "channel"),
            ("limit=-1", "limit"),
            ("colour=red", "colour"),
        ] {
            assert_eq!(Query::parse(bad).unwrap_err().parameter, name);
        }
    }
}
