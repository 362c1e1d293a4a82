//! The calls on what became of a booking.

use axum::extract::State;
use axum::response::Response;

use crate::answer::{ItemOut, Items, NotificationOut, Problem};
use crate::http::Api;
use crate::http::bookings::{json, unreadable};
use crate::http::call::BookingPath;
use crate::http::openapi::{Notifications, Reads, Timeline};
use crate::http::parameters::PnrParameter;
use crate::notification::current;

/// Tells a booking's story, oldest first
///
/// Every change of the booking, every publication of its events to Kafka, every step of its notifications; each also in words.
#[utoipa::path(
    get,
    path = "/api/v1/bookings/{pnr}/timeline",
    tag = "bookings",
    params(PnrParameter),
    responses(Timeline, Reads)
)]
pub(super) async fn get_timeline(
    State(api): State<Api>,
    BookingPath(pnr): BookingPath,
) -> Result<Response, Problem> {
    let story = api.store.story_of(&pnr).await.map_err(unreadable)?;
    let items = story.ok_or_else(Problem::booking_not_found)?.items();
    json(&Items {
        items: items.iter().map(ItemOut::from).collect(),
    })
}

/// Shows where each notification stands
///
/// One entry for each event and channel of which at least one step is known.
#[utoipa::path(
    get,
    path = "/api/v1/bookings/{pnr}/notifications",
    tag = "bookings",
    params(PnrParameter),
    responses(Notifications, Reads)
)]
pub(super) async fn list_notifications(
    State(api): State<Api>,
    BookingPath(pnr): BookingPath,
) -> Result<Response, Problem> {
    let story = api.store.story_of(&pnr).await.map_err(unreadable)?;
    let story = story.ok_or_else(Problem::booking_not_found)?;
    json(&Items {
        items: NotificationOut::list(&current(&story.steps), &story.told),
    })
}
