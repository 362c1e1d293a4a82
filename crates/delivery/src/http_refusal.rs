//! What providers' HTTP APIs have in common when they refuse a message, or say nothing.

use std::time::Duration;

use chassis::http;
use reqwest::{RequestBuilder, StatusCode};

use crate::channel::{FailureClass, Scope, SendError};

/// A limit's shortest pause: some ask for none, and would be asked again without one.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// An HTTP API, as errors name it.
#[derive(Clone, Copy, Debug)]
pub struct HttpApi {
    /// Its name in a sentence.
    pub name: &'static str,
    /// The page that explains its error codes.
    pub codes: &'static str,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The body; of a refusal that broke off, nothing.
    pub body: Vec<u8>,
}

/// A refusal, as far as it decides what is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpRefusal {
    /// The HTTP status.
    pub status: u16,
    /// The API's own error code. Without it, something else than the API may have answered.
    pub code: Option<u32>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl HttpApi {
    /// Sends the request, once, and reads the answer whatever its status.
    ///
    /// # Errors
    /// [`FailureClass::Transient`] if it was not sent, [`FailureClass::Ambiguous`] if no whole answer came.
    pub async fn ask(&self, request: RequestBuilder) -> Result<HttpAnswer, SendError> {
        let response = request.send().await;
        let response = response.map_err(|error| self.unanswered(&error))?;
        let status = response.status();
        let retry_after = http::retry_after(response.headers());
        let body = match response.bytes().await {
            Ok(body) => body.to_vec(),
            // A refusal whose reasons are lost is still a refusal.
            Err(_) if !status.is_success() => Vec::new(),
            Err(error) => return Err(self.unanswered(&error)),
        };
        Ok(HttpAnswer {
            status,
            retry_after,
            body,
        })
    }

    /// The error of a refusal of this class. The API's own words may quote the number: ours replace them.
    pub fn refused(&self, refusal: &HttpRefusal, class: FailureClass) -> SendError {
        let Self { name, codes } = self;
        let http_status = refusal.status;
        let (status, reason) = match refusal.code {
            Some(code) => (code.to_string(), format!("error {code}, see {codes}")),
            None => (http_status.to_string(), "no error code".to_owned()),
        };
        SendError {
            class,
            status: Some(status),
            problem: format!("{name} refused with HTTP {http_status} and {reason}"),
        }
    }

    /// The error of an answer that is no refusal and names no message.
    pub fn nameless(&self, answer: &HttpAnswer) -> SendError {
        SendError {
            class: FailureClass::Ambiguous,
            status: Some(answer.status.as_u16().to_string()),
            problem: format!("the answer of {} names no message", self.name),
        }
    }

    fn unanswered(&self, error: &reqwest::Error) -> SendError {
        let name = self.name;
        let (class, problem) = match (http::may_have_arrived(error), error.is_timeout()) {
            (false, _) => (
                FailureClass::Transient(Scope::Account),
                format!("could not connect to {name}"),
            ),
            (true, true) => (
                FailureClass::Ambiguous,
                format!("{name} did not answer in time"),
            ),
            (true, false) => (
                FailureClass::Ambiguous,
                format!("the connection to {name} broke before the whole answer"),
            ),
        };
        SendError {
            class,
            status: None,
            problem,
        }
    }
}

impl HttpAnswer {
    /// The refusal it is, with the code that its body gives.
    pub fn refusal(&self, code: Option<u32>) -> HttpRefusal {
        HttpRefusal {
            status: self.status.as_u16(),
            code,
            retry_after: self.retry_after,
        }
    }
}

impl HttpRefusal {
    /// A limit: as long as the answer asks, but a second at least, or this long.
    pub fn limited(&self, pause: Duration, scope: Scope) -> FailureClass {
        FailureClass::RateLimited {
            after: self
                .retry_after
                .map_or(pause, |asked| asked.max(SHORTEST_PAUSE)),
            scope,
        }
    }

    /// What the status says where no code says more; `pause` is the wait of a limit that names none.
    pub fn by_status(&self, pause: Duration) -> FailureClass {
        match (self.status, self.code) {
            (429, _) => self.limited(pause, Scope::Account),
            // The second half, without the API's own words, says that the API is not there: the base URL is wrong.
            (401 | 403, _) | (300..=399 | 404 | 405 | 407, None) => {
                FailureClass::Misconfigured(Scope::Account)
            }
            // Refused before anything was done.
            (408 | 503, _) | (500..=599, Some(_)) => FailureClass::Transient(Scope::Account),
            // A server error without the API's own words: the message may have been taken before it.
            (500..=599, None) => FailureClass::Ambiguous,
            _ => FailureClass::Permanent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FailureClass::{Ambiguous, Misconfigured, Permanent, Transient};
    use super::*;

    const PAUSE: Duration = Duration::from_secs(2);

    fn refusal(status: u16, code: Option<u32>) -> HttpRefusal {
        HttpRefusal {
            status,
            code,
            retry_after: None,
        }
    }

    #[test]
    fn without_a_known_code_the_status_decides() {
        for (status, code, expected) in [
            (400, None, Permanent),
            (400, Some(9), Permanent),
            (404, Some(9), Permanent),
            (401, None, Misconfigured(Scope::Account)),
            (403, Some(9), Misconfigured(Scope::Account)),
            (404, None, Misconfigured(Scope::Account)),
            (302, None, Misconfigured(Scope::Account)),
            (408, None, Transient(Scope::Account)),
            (503, None, Transient(Scope::Account)),
            (500, Some(9), Transient(Scope::Account)),
            (500, None, Ambiguous),
            (502, None, Ambiguous),
            (504, None, Ambiguous),
        ] {
            let class = refusal(status, code).by_status(PAUSE);
            assert_eq!(class, expected, "{status} {code:?}");
        }
    }

    #[test]
    fn a_limit_waits_as_long_as_the_answer_asks() {
        let expected = |after| FailureClass::RateLimited {
            after,
            scope: Scope::Account,
        };
        let mut refusal = refusal(429, None);
        assert_eq!(refusal.by_status(PAUSE), expected(PAUSE));
        refusal.retry_after = Some(Duration::from_secs(7));
        assert_eq!(refusal.by_status(PAUSE), expected(Duration::from_secs(7)));
        refusal.retry_after = Some(Duration::ZERO);
        assert_eq!(refusal.by_status(PAUSE), expected(Duration::from_secs(1)));
    }

    #[test]
    fn an_error_has_the_code_before_the_status() {
        let api = HttpApi {
            name: "the API",
            codes: "https://codes.example",
        };
        let error = api.refused(&refusal(400, Some(9)), Permanent);
        assert_eq!(error.status.as_deref(), Some("9"));
        assert_eq!(
            error.problem,
            "the API refused with HTTP 400 and error 9, see https://codes.example"
        );
        let error = api.refused(&refusal(404, None), Permanent);
        assert_eq!(error.status.as_deref(), Some("404"));
    }
}
