//! Twilio's errors (<https://www.twilio.com/docs/api/errors>).

use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http;

/// An error that Twilio answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    code: u32,
    message: &'static str,
}

impl Refusal {
    const fn bad_request(code: u32, message: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message,
        }
    }

    pub(super) const AUTHENTICATE: Self = Self {
        status: StatusCode::UNAUTHORIZED,
        code: 20003,
        message: "Authenticate",
    };
    pub(super) const NOT_FOUND: Self = Self {
        status: StatusCode::NOT_FOUND,
        code: 20404,
        message: "The requested resource was not found",
    };
    pub(super) const INTERNAL: Self = Self {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: 20500,
        message: "An internal server error has occurred",
    };
    pub(super) const NO_TO: Self = Self::bad_request(21604, "A 'To' phone number is required.");
    pub(super) const BAD_TO: Self =
        Self::bad_request(21211, "The 'To' number is not a valid phone number.");
    pub(super) const NO_FROM: Self = Self::bad_request(21603, "A 'From' phone number is required.");
    pub(super) const BAD_FROM: Self = Self::bad_request(
        21212,
        "The 'From' number is not a valid phone number, shortcode, or alphanumeric sender ID.",
    );
    pub(super) const BAD_SERVICE: Self =
        Self::bad_request(21701, "The Messaging Service does not exist.");
    pub(super) const NO_BODY: Self = Self::bad_request(21602, "Message body is required.");
    pub(super) const LONG_BODY: Self = Self::bad_request(
        21617,
        "The concatenated message body exceeds the 1600 character limit.",
    );

    /// What a fault asks for.
    pub(super) fn injected(status: u16, code: u32) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            message: text(code),
        }
    }
}

/// Twilio's text for the codes that faults usually inject.
fn text(code: u32) -> &'static str {
    match code {
        20003 => "Authenticate",
        20429 => "Too Many Requests",
        20500 => "An internal server error has occurred",
        20503 => "Service Unavailable",
        21211 => "The 'To' number is not a valid phone number.",
        21408 => {
            "Permission to send an SMS has not been enabled for the region indicated by the 'To' number."
        }
        21610 => "Attempt to send to unsubscribed recipient",
        21611 => "This 'From' number has exceeded the maximum number of queued messages",
        21614 => "'To' number is not a valid mobile number",
        30001 => "Queue overflow",
        30002 => "Account suspended",
        30003 => "Unreachable destination handset",
        30004 => "Message blocked",
        30005 => "Unknown destination handset",
        30006 => "Landline or unreachable carrier",
        30007 => "Message filtered",
        30008 => "Unknown error",
        _ => "The request could not be completed",
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            message,
        } = self;
        let body = json!({
            "code": code,
            "message": message,
            "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
            "status": status.as_u16(),
        });
        let response = http::json(status, &body);
        if status == StatusCode::UNAUTHORIZED {
            let realm = [(WWW_AUTHENTICATE, "Basic realm=\"Twilio API\"")];
            return (realm, response).into_response();
        }
        response
    }
}
