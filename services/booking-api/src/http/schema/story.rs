//! The shapes of a booking's story and its notifications.

use events::{BookingStatus, Channel, EventType, PaymentStatus, Step};
use utoipa::PartialSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, Ref, RefOr, SchemaFormat};

use super::{Field, number, object, requiring, shaped, words};

/// One thing that happened.
pub(in crate::http) struct TimelineItemSchema;

/// The answered story.
pub(in crate::http) struct TimelineSchema;

/// Where a notification stands.
pub(in crate::http) struct NotificationSchema;

/// The answered notifications.
pub(in crate::http) struct NotificationListSchema;

/// Text of any length, for what others wrote.
fn plain(description: &str) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.description(Some(description))
}

fn moment(description: &str) -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    plain(description).format(Some(format))
}

fn whole(description: &str, minimum: i64) -> ObjectBuilder {
    number(Type::Integer, description, minimum, None)
}

fn event() -> Vec<Field> {
    let version = "The booking's version that the change made; not there for an event of others";
    vec![
        ("eventId", plain("The event's id")),
        ("eventType", words("What is told", &EventType::ALL)),
        ("bookingVersion", whole(version, 1)),
    ]
}

fn notification(attempts: &'static str) -> Vec<Field> {
    let channels = Channel::ALL.map(Channel::status_name);
    vec![
        ("channel", words("Through which channel", &channels)),
        ("status", words("How far it is", Step::ALL)),
        (attempts, whole("Attempts made so far", 0)),
        ("provider", plain("The provider that was asked")),
        (
            "providerMessageId",
            plain("The provider's name for the message"),
        ),
        ("reason", plain("Why, in words")),
    ]
}

fn item() -> Vec<Field> {
    let kinds = ["BOOKING", "PUBLICATION", "NOTIFICATION"];
    let when = "When, with its offset from UTC. An event that waits: since when";
    let partition = "Its partition; not there while the event waits";
    vec![
        ("at", moment(when)),
        (
            "kind",
            words(
                "A change of the booking, a publication of an event to Kafka, or a step of a notification",
                &kinds,
            ),
        ),
        ("text", plain("The same in a sentence")),
        (
            "bookingStatus",
            words("The booking became this", BookingStatus::ALL),
        ),
        (
            "paymentStatus",
            words("The payment became this", PaymentStatus::ALL),
        ),
        (
            "cancelReason",
            plain("Why it was cancelled, where a reason was given"),
        ),
        ("topic", shaped("The event's topic", "^[a-z-]+$")),
        ("partition", whole(partition, 0)),
        (
            "offset",
            whole("Its offset; not there while the event waits", 0),
        ),
    ]
}

fn list(of: &str) -> RefOr<Schema> {
    let items = ArrayBuilder::new().items(Ref::from_schema_name(of));
    let list = ObjectBuilder::new().schema_type(Type::Object);
    requiring(list.property("items", items), ["items"]).into()
}

impl PartialSchema for TimelineItemSchema {
    fn schema() -> RefOr<Schema> {
        let fields = item().into_iter().chain(event());
        let fields = fields.chain(notification("attempt")).collect();
        requiring(object(fields), ["at", "kind", "text"]).into()
    }
}

impl PartialSchema for TimelineSchema {
    fn schema() -> RefOr<Schema> {
        list("TimelineItem")
    }
}

impl PartialSchema for NotificationSchema {
    fn schema() -> RefOr<Schema> {
        let updated = ("updatedAt", moment("When it came to this"));
        let fields = event().into_iter().chain(notification("attempts"));
        let fields = fields.chain([updated]).collect();
        let known = [
            "eventId",
            "eventType",
            "channel",
            "status",
            "attempts",
            "updatedAt",
        ];
        requiring(object(fields), known).into()
    }
}

impl PartialSchema for NotificationListSchema {
    fn schema() -> RefOr<Schema> {
        list("Notification")
    }
}
