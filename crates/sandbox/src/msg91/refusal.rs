//! MSG91's errors: the codes of its SMS API, in the two shapes that its v5 API gives them.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::http;

/// An error that MSG91 answers with.
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

    const fn unauthorized(code: u32) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code,
            message: "Unauthorized",
        }
    }

    pub(super) const NO_AUTHKEY: Self = Self::unauthorized(201);
    pub(super) const BAD_AUTHKEY: Self = Self::unauthorized(207);
    pub(super) const INTERNAL: Self = Self {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: 601,
        message: "Internal error. Please contact support for details",
    };
    pub(super) const NOT_JSON: Self = Self::bad_request(102, "Invalid JSON");
    pub(super) const NO_MOBILE: Self = Self::bad_request(101, "Missing mobile no.");
    /// With status 200: MSG91 does not always let the status tell.
    pub(super) const BAD_MOBILE: Self = Self {
        status: StatusCode::OK,
        code: 202,
        message: "Invalid mobile number",
    };
    pub(super) const BAD_SENDER: Self = Self::bad_request(
        203,
        "Invalid sender ID. It must be 6 characters, alphabetic.",
    );
    pub(super) const BAD_TEMPLATE: Self =
        Self::bad_request(211, "Template ID Missing or Invalid Template");
    pub(super) const BAD_DLT_TEMPLATE: Self =
        Self::bad_request(211, "DLT_TE_ID is not the template's");
    pub(super) const NO_VALUE: Self = Self::bad_request(102, "A variable of the flow is missing");
    pub(super) const LONG_VALUE: Self =
        Self::bad_request(310, "The value of a variable exceeds 40 characters");

    /// What a fault asks for.
    pub(super) fn injected(status: u16, code: u32) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            message: "The request could not be completed",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            message,
        } = self;
        let code = code.to_string();
        let body = if status == StatusCode::UNAUTHORIZED {
            json!({"status": "fail", "hasError": true, "errors": message, "code": "401", "apiError": code})
        } else {
            json!({"type": "error", "message": message, "code": code})
        };
        http::json(status, &body)
    }
}
