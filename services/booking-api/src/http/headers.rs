//! Request headers that decide something.

use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::{HeaderMap, HeaderName};

use crate::answer::{Kind, Problem};
use crate::idempotency::read_key;
use crate::writer::Precondition;

/// draft-ietf-httpapi-idempotency-key-header.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// On an answer that was given before.
pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Names a request in answers and logs.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over.
const MAX_REQUEST_ID: usize = 128;

/// `Idempotency-Key`, at most one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let invalid = |detail: String| Problem::new(Kind::InvalidHeader, detail);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let key = read_key(value.to_str().unwrap_or_default());
            key.map(Some).map_err(|error| invalid(error.to_string()))
        }
        (Some(_), Some(_)) => Err(invalid("Idempotency-Key must be given once".to_owned())),
    }
}

/// `If-Match` (RFC 9110 §13.1.1): `*`, or entity tags. A weak one never matches, for the comparison is strong.
pub(super) fn precondition(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let mut values = headers.get_all(IF_MATCH).iter().peekable();
    if values.peek().is_none() {
        return Ok(Precondition::default());
    }
    let texts: Option<Vec<&str>> = values.map(|value| value.to_str().ok()).collect();
    let list = texts.map(|texts| texts.join(","));
    let precondition = match list.as_deref().map(str::trim) {
        Some("*") => Some(Precondition::default()),
        Some(list) => strong_tags(list).map(Precondition::one_of),
        None => None,
    };
    precondition.ok_or_else(|| {
        let detail = "If-Match must be * or ETags in double quotes";
        Problem::new(Kind::InvalidHeader, detail)
    })
}

/// The strong ones of a list of entity tags (RFC 9110 §8.8.3), without their quotes; nothing if it is no such list.
fn strong_tags(list: &str) -> Option<Vec<String>> {
    let mut strong = Vec::new();
    let mut found = false;
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return found.then_some(strong);
        }
        let quoted = rest.strip_prefix("W/");
        let weak = quoted.is_some();
        let (tag, after) = quoted.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        rest = after.trim_start_matches([' ', '\t']);
        if !tag.bytes().all(|byte| byte.is_ascii_graphic()) || !separated(rest) {
            return None;
        }
        found = true;
        if !weak {
            strong.push(tag.to_owned());
        }
    }
}

fn separated(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(',')
}

/// Whether the body says it is JSON, or says nothing.
pub(super) fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let media_type = value.to_str().unwrap_or_default().split(';').next();
    let media_type = media_type.unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// The client's request id, if it fits in a log line.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let fits = (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(sane);
    fits.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let pairs = values.iter();
        pairs
            .map(|value| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn if_match_is_met_by_the_same_strong_tag_or_by_any() {
        let met = |values: &[&str]| precondition(&with(&IF_MATCH, values)).unwrap().is_met_by(3);
        for values in [
            &["\"3\""][..],
            &["*"],
            &[" * "],
            &["\"1\", \"3\""],
            &["W/\"3\",\"3\""],
            &["\"a,b\" ,, \"3\","],
            &["\"1\"", "\"3\""],
            &[],
        ] {
            assert!(met(values), "{values:?}");
        }
        for values in [
            &["\"2\""][..],
            &["\"33\""],
            &["\"03\""],
            &["\"\""],
            &["W/\"3\""],
            &["\"1,3\""],
        ] {
            assert!(!met(values), "{values:?}");
        }
    }

    #[test]
    fn an_if_match_that_is_no_list_of_tags_is_refused() {
        for values in [
            &[""][..],
            &[","],
            &["3"],
            &["three"],
            &["\"3"],
            &["3\""],
            &["w/\"3\""],
            &["W/3"],
            &["\"1\" \"3\""],
            &["\"1 3\""],
            &["*, \"3\""],
            &["*", "*"],
        ] {
            let problem = precondition(&with(&IF_MATCH, values)).unwrap_err();
            assert_eq!(problem.status(), 400, "{values:?}");
        }
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        let says = |value| may_be_json(&with(&CONTENT_TYPE, &[value]));
        assert!(may_be_json(&HeaderMap::new()));
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/x+json",
        ] {
            assert!(says(good), "{good}");
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "text/json",
            "",
        ] {
            assert!(!says(bad), "{bad}");
        }
    }

    #[test]
    fn a_request_id_that_would_break_a_log_line_is_not_taken_over() {
        let read = |value: &str| request_id(&with(&X_REQUEST_ID, &[value]));
        assert_eq!(read("a-1_b.c:d").as_deref(), Some("a-1_b.c:d"));
        for bad in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
