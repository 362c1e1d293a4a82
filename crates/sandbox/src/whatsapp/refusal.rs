//! Meta's errors (Cloud API, "Error codes").
//!
//! Clients are told to look at `code` and not at the HTTP status; the statuses here differ as Meta's do, so that one who does otherwise is found out.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chassis::chance;
use serde_json::json;

use crate::http;

/// An error that Meta answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    kind: &'static str,
    code: u32,
    subcode: Option<u32>,
    message: String,
    details: Option<String>,
}

const OAUTH: &str = "OAuthException";
const GRAPH: &str = "GraphMethodException";

impl Refusal {
    fn plain(status: u16, kind: &'static str, code: u32, message: &str) -> Self {
        Self {
            status,
            kind,
            code,
            subcode: None,
            message: message.to_owned(),
            details: None,
        }
    }

    /// An error of the messaging API: `(#code) title`, and details.
    pub(super) fn of(code: u32, details: impl Into<String>) -> Self {
        let (status, title) = known(code);
        Self {
            details: Some(details.into()),
            ..Self::plain(status, OAUTH, code, &format!("(#{code}) {title}"))
        }
    }

    pub(super) fn no_token() -> Self {
        Self::plain(403, OAUTH, 200, "Provide valid app ID")
    }

    pub(super) fn bad_token() -> Self {
        let message = "Error validating access token: the session has been invalidated";
        Self::plain(401, OAUTH, 190, message)
    }

    pub(super) fn unknown_path() -> Self {
        Self::plain(400, OAUTH, 2500, "Unknown path components")
    }

    /// A phone number id that does not exist, or that the token may not use.
    pub(super) fn unknown_sender(sender: &str) -> Self {
        let message = format!(
            "Unsupported post request. Object with ID '{sender}' does not exist, cannot be loaded due to missing permissions, or does not support this operation"
        );
        Self {
            subcode: Some(33),
            ..Self::plain(400, GRAPH, 100, &message)
        }
    }

    pub(super) fn missing(parameter: &str) -> Self {
        Self::plain(
            400,
            OAUTH,
            100,
            &format!("(#100) The parameter {parameter} is required."),
        )
    }

    /// What a fault asks for: its code, with its status instead of the usual one.
    pub(super) fn injected(status: u16, code: u32) -> Self {
        Self {
            status,
            ..Self::of(code, "The sandbox was told to refuse this message.")
        }
    }
}

/// The usual HTTP status and the title of a code.
fn known(code: u32) -> (u16, &'static str) {
    match code {
        0 => (401, "AuthException"),
        4 => (400, "API Too Many Calls"),
        10 => (403, "Permission Denied"),
        190 => (401, "Access token has expired"),
        200..=299 => (403, "API Permission"),
        368 => (403, "Temporarily blocked for policies violations"),
        80007 => (400, "Rate limit issues"),
        100 => (400, "Invalid parameter"),
        130_429 => (429, "Rate limit hit"),
        130_472 => (400, "User's number is part of an experiment"),
        130_497 => (
            403,
            "Business account is restricted from messaging users in this country",
        ),
        131_000 => (500, "Something went wrong"),
        131_005 => (403, "Access denied"),
        131_008 => (400, "Required parameter is missing"),
        131_009 => (400, "Parameter value is not valid"),
        131_016 => (500, "Service unavailable"),
        131_021 => (400, "Recipient cannot be sender"),
        131_026 => (400, "Message undeliverable"),
        131_031 => (403, "Account has been locked"),
        131_042 => (400, "Business eligibility payment issue"),
        131_047 => (400, "Re-engagement message"),
        131_048 => (429, "Spam rate limit hit"),
        131_049 => (
            400,
            "This message was not delivered to maintain healthy ecosystem engagement",
        ),
        131_050 => (400, "User has stopped marketing messages"),
        131_051 => (400, "Unsupported message type"),
        131_056 => (
            429,
            "(Business Account, Consumer Account) pair rate limit hit",
        ),
        131_057 => (500, "Business Account is in maintenance mode"),
        132_000 => (
            400,
            "Number of parameters does not match the expected number of params",
        ),
        132_001 => (404, "Template name does not exist in the translation"),
        132_005 => (400, "Translated text too long"),
        132_007 => (400, "Template content violates policy"),
        132_012 => (
            400,
            "Parameter format does not match format in the created template",
        ),
        132_015 => (400, "Template is paused"),
        132_016 => (400, "Template is disabled"),
        132_018 => (
            400,
            "There was an issue with the parameters in your template",
        ),
        133_004 => (503, "Server is temporarily unavailable"),
        133_010 => (400, "Phone number not registered"),
        _ => (400, "An error occurred"),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = json!({
            "message": self.message,
            "type": self.kind,
            "code": self.code,
            "fbtrace_id": format!("A{}", chance::token()),
        });
        if let (Some(subcode), Some(error)) = (self.subcode, error.as_object_mut()) {
            error.insert("error_subcode".to_owned(), json!(subcode));
        }
        if let (Some(details), Some(error)) = (self.details, error.as_object_mut()) {
            let data = json!({"messaging_product": "whatsapp", "details": details});
            error.insert("error_data".to_owned(), data);
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        http::json(status, &json!({"error": error}))
    }
}
