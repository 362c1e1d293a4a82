//! The document of the API: routes and their description in one place.

use std::collections::BTreeMap;

use axum::Router;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Object, Ref, RefOr};
use utoipa::{IntoResponses, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::answer::{FieldError, ProblemOut};
use crate::http::Api;
use crate::http::bookings::{
    __path_cancel_booking, __path_create_booking, __path_get_booking, __path_list_bookings,
    __path_update_payment_status, cancel_booking, create_booking, get_booking, list_bookings,
    update_payment_status,
};
use crate::http::envelope::PROBLEM_JSON;
use crate::http::schema::{
    BookingPageSchema, BookingSchema, NotificationListSchema, NotificationSchema,
    TimelineItemSchema, TimelineSchema,
};
use crate::http::story::{
    __path_get_timeline, __path_list_notifications, get_timeline, list_notifications,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Harkara booking API",
        description = "Books seats, and sees to it that the passenger learns of it. Errors are `application/problem+json` (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(
        BookingSchema,
        BookingPageSchema,
        TimelineItemSchema,
        TimelineSchema,
        NotificationSchema,
        NotificationListSchema,
        ProblemOut,
        FieldError
    )),
    tags((name = "bookings", description = "Booking, cancelling, paying, and what became of it"))
)]
struct Document;

/// The routes, `/openapi.json`, and `/docs`, a page whose parts all come from this server.
pub(super) fn router(api: Api) -> Router {
    let (routes, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(create_booking, list_bookings))
        .routes(routes!(get_booking))
        .routes(routes!(cancel_booking))
        .routes(routes!(update_payment_status))
        .routes(routes!(get_timeline))
        .routes(routes!(list_notifications))
        .split_for_parts();
    // Or each reader's browser would ask a server on the internet whether the document is valid.
    let config = Config::default().validator_url("none");
    let page = SwaggerUi::new("/docs").config(config);
    let page = page.url("/openapi.json", document);
    routes.with_state(api).merge(page)
}

type Responses = BTreeMap<String, RefOr<Response>>;

/// Problems any call may answer with.
const ALWAYS: [(u16, &str); 2] = [
    (500, "Something went wrong here"),
    (
        503,
        "Overloaded, or the database is away; see `Retry-After`",
    ),
];

const BAD_BODY: [(u16, &str); 5] = [
    (
        400,
        "Not JSON, or a header that decides something is not valid",
    ),
    (408, "The body did not arrive in time"),
    (413, "The body is over 64 KiB"),
    (415, "The body says it is not JSON"),
    (
        422,
        "Fields of the body are not valid, every one told; or the `Idempotency-Key` was used with another body",
    ),
];

const NOT_FOUND: (u16, &str) = (404, "No booking has this PNR");

/// 201.
pub(super) struct Created;

/// 200 with a booking.
pub(super) struct BookingResponse;

/// 200 with a booking that was changed.
pub(super) struct Changed;

/// 200 with a page, and the problems of a list.
pub(super) struct Page;

/// 200 with a booking's story.
pub(super) struct Timeline;

/// 200 with the notifications of a booking.
pub(super) struct Notifications;

/// The problems of a new booking.
pub(super) struct Creates;

/// The problems of a change.
pub(super) struct Changes;

/// The problems of reading one booking.
pub(super) struct Reads;

impl IntoResponses for Created {
    fn responses() -> Responses {
        let booking = with_body("Booked", "Booking", "application/json")
            .header("Location", text("Where the booking is"))
            .header("ETag", text("The booking's version"))
            .header("Idempotent-Replayed", replayed());
        BTreeMap::from([("201".to_owned(), booking.into())])
    }
}

impl IntoResponses for BookingResponse {
    fn responses() -> Responses {
        let booking = with_body("The booking", "Booking", "application/json")
            .header("ETag", text("The booking's version"));
        BTreeMap::from([("200".to_owned(), booking.into())])
    }
}

impl IntoResponses for Changed {
    fn responses() -> Responses {
        let booking = with_body("The booking", "Booking", "application/json")
            .header("ETag", text("The booking's version"))
            .header("Idempotent-Replayed", replayed());
        BTreeMap::from([("200".to_owned(), booking.into())])
    }
}

impl IntoResponses for Page {
    fn responses() -> Responses {
        let page = with_body("A page of bookings", "BookingPage", "application/json");
        let mut responses = problems(&[(400, "A query parameter is not valid")]);
        responses.insert("200".to_owned(), page.into());
        responses
    }
}

impl IntoResponses for Timeline {
    fn responses() -> Responses {
        listed("What happened, oldest first", "Timeline")
    }
}

impl IntoResponses for Notifications {
    fn responses() -> Responses {
        listed("Where each notification stands", "NotificationList")
    }
}

fn listed(description: &str, schema: &str) -> Responses {
    let list = with_body(description, schema, "application/json");
    BTreeMap::from([("200".to_owned(), list.into())])
}

impl IntoResponses for Creates {
    fn responses() -> Responses {
        let mut responses = problems(&BAD_BODY);
        responses.append(&mut problems(&[(
            409,
            "The first request with this `Idempotency-Key` is still running",
        )]));
        responses
    }
}

impl IntoResponses for Changes {
    fn responses() -> Responses {
        let mut responses = problems(&BAD_BODY);
        responses.append(&mut refusals(&[
            NOT_FOUND,
            (409, "Not possible as the booking stands, or the first request with this `Idempotency-Key` is still running"),
            (412, "The booking has another version than `If-Match` names"),
        ]));
        responses
    }
}

impl IntoResponses for Reads {
    fn responses() -> Responses {
        problems(&[NOT_FOUND])
    }
}

fn problems(kinds: &[(u16, &str)]) -> Responses {
    let kinds = kinds.iter().chain(&ALWAYS);
    let responses = kinds.map(|(status, description)| {
        let response = with_body(description, "Problem", PROBLEM_JSON);
        (status.to_string(), response.into())
    });
    responses.collect()
}

/// Refusals that are kept with an `Idempotency-Key`, and replayed.
fn refusals(kinds: &[(u16, &str)]) -> Responses {
    let responses = kinds.iter().map(|(status, description)| {
        let response = with_body(description, "Problem", PROBLEM_JSON);
        let response = response.header("Idempotent-Replayed", replayed());
        (status.to_string(), response.into())
    });
    responses.collect()
}

fn with_body(description: &str, schema: &str, media_type: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
    ResponseBuilder::new()
        .description(description)
        .content(media_type, content.build())
}

fn replayed() -> utoipa::openapi::Header {
    let word = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["true"]));
    HeaderBuilder::new()
        .schema(Some(word))
        .description(Some("Only if this was answered before"))
        .build()
}

fn text(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .schema(Some(Object::with_type(Type::String)))
        .description(Some(description))
        .build()
}
