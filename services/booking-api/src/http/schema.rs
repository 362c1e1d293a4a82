//! The shapes of bodies, for the API's document.

mod story;

use std::borrow::Cow;

use events::{BookingStatus, CoachType, Email, Gender, PaymentStatus, Quota};
use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::http::booking_in::{BookingIn, CancellationIn, PaymentIn};
use crate::http::fields::{MAX_CHARACTERS, MAX_MARK, MAX_REASON};
pub(super) use story::{
    NotificationListSchema, NotificationSchema, TimelineItemSchema, TimelineSchema,
};

/// The specification's own sample as a client sends it.
const SAMPLE: &str = include_str!("../../golden/create-request.json");

/// Fields that a body may leave out.
const OPTIONAL: [&str; 6] = [
    "totalFare",
    "convenienceFee",
    "gstAmount",
    "quotaType",
    "isTatkal",
    "bookingSource",
];

/// A time of day: `HH:MM:SS` or `HH:MM`.
const TIME: &str = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$";

/// A date of the years 1900 to 2999.
const DATE: &str = "^(19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}$";

/// The answered booking.
pub(super) struct BookingSchema;

/// The answered page.
pub(super) struct BookingPageSchema;

type Field = (&'static str, ObjectBuilder);

/// Every field that is given when booking.
fn given() -> Vec<Field> {
    account()
        .into_iter()
        .chain(journey())
        .chain(passenger())
        .chain(fare())
        .collect()
}

fn account() -> Vec<Field> {
    let phone = "Where SMS and WhatsApp go: an Indian mobile number in any usual spelling, or any number in E.164 form";
    vec![
        ("userId", id("The account that books")),
        (
            "userEmail",
            formatted("Where e-mail goes", KnownFormat::Email).max_length(Some(Email::MAX_BYTES)),
        ),
        ("userPhone", text(phone)),
        ("userName", text("The account's name")),
    ]
}

fn journey() -> Vec<Field> {
    vec![
        ("trainId", id("The train's number in the train database")),
        ("trainNumber", shaped("The train number", "^[0-9]{5}$")),
        ("trainName", text("The train's name")),
        ("sourceStation", text("Station of boarding")),
        ("destinationStation", text("Station of arrival")),
        (
            "journeyDate",
            formatted("Date of boarding", KnownFormat::Date).pattern(Some(DATE)),
        ),
        (
            "departureTime",
            shaped("Departure, Indian Standard Time", TIME),
        ),
        ("arrivalTime", shaped("Arrival, Indian Standard Time", TIME)),
    ]
}

fn passenger() -> Vec<Field> {
    vec![
        ("passengerName", text("Who travels")),
        (
            "passengerAge",
            number(Type::Integer, "Age in years", 0, Some(125)),
        ),
        ("passengerGender", words("Gender", Gender::ALL)),
        ("coachNumber", mark("Coach")),
        ("seatNumber", mark("Seat or berth")),
        ("coachType", words("Class of travel", CoachType::ALL)),
    ]
}

fn fare() -> Vec<Field> {
    let tatkal = ObjectBuilder::new().schema_type(Type::Boolean);
    let tatkal = tatkal.description(Some("Booked under the Tatkal scheme"));
    let quota = words("The quota", Quota::ALL).default(Some(json!("GENERAL")));
    let source = text("Where the booking comes from").default(Some(json!("WEB")));
    vec![
        (
            "totalFare",
            money("What the passenger pays in all; the sum of the parts if left out"),
        ),
        ("baseFare", money("The fare itself")),
        (
            "convenienceFee",
            money("The booking fee; 2 % of the base fare if left out"),
        ),
        (
            "gstAmount",
            money("Goods and services tax; 5 % of the base fare if left out"),
        ),
        ("quotaType", quota),
        ("isTatkal", tatkal.default(Some(json!(false)))),
        ("bookingSource", source),
    ]
}

/// Every field that the system adds.
fn added() -> Vec<Field> {
    let version = "1 when booked, one more with every change; the `ETag`";
    let booked = "When it was booked: `YYYY-MM-DDTHH:MM:SS`, Indian Standard Time";
    vec![
        ("bookingId", id("The booking's number")),
        ("pnrNumber", shaped("The PNR", "^[1-9][0-9]{9}$")),
        (
            "bookingStatus",
            words("State of the booking", BookingStatus::ALL),
        ),
        (
            "paymentStatus",
            words("State of the payment", PaymentStatus::ALL),
        ),
        ("bookingDate", text(booked)),
        ("version", number(Type::Integer, version, 1, None)),
    ]
}

fn object(fields: Vec<Field>) -> ObjectBuilder {
    let start = ObjectBuilder::new().schema_type(Type::Object);
    fields
        .into_iter()
        .fold(start, |object, (name, field)| object.property(name, field))
}

fn requiring<'a>(object: ObjectBuilder, names: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    names.into_iter().fold(object, ObjectBuilder::required)
}

/// A body that takes no other fields.
fn closed(object: ObjectBuilder) -> RefOr<Schema> {
    let nothing_else = AdditionalProperties::FreeForm(false);
    object.additional_properties(Some(nothing_else)).into()
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .min_length(Some(1))
        .max_length(Some(MAX_CHARACTERS))
}

fn mark(description: &str) -> ObjectBuilder {
    text(description).max_length(Some(MAX_MARK))
}

/// A field that may be `null`, which is as good as leaving it out.
fn or_null(field: ObjectBuilder) -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    OneOfBuilder::new().item(field).item(null).into()
}

fn shaped(description: &str, pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
}

fn formatted(description: &str, format: KnownFormat) -> ObjectBuilder {
    text(description).format(Some(SchemaFormat::KnownFormat(format)))
}

fn number(kind: Type, description: &str, minimum: i64, maximum: Option<i64>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(kind))
        .description(Some(description))
        .minimum(Some(minimum))
        .maximum(maximum)
}

fn id(description: &str) -> ObjectBuilder {
    let int64 = SchemaFormat::KnownFormat(KnownFormat::Int64);
    number(Type::Integer, description, 1, None).format(Some(int64))
}

fn money(description: &str) -> ObjectBuilder {
    let rupees = format!("{description}. Rupees, at most two decimals");
    number(Type::Number, &rupees, 0, Some(1_000_000))
}

fn words<T: ToString>(description: &str, all: &[T]) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(all.iter().map(ToString::to_string)))
}

impl PartialSchema for BookingIn {
    fn schema() -> RefOr<Schema> {
        let fields = given();
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        let required = names.into_iter().filter(|name| !OPTIONAL.contains(name));
        let sample = serde_json::from_str::<Value>(SAMPLE).ok();
        let start = ObjectBuilder::new().schema_type(Type::Object);
        let body = fields.into_iter().fold(start, |body, (name, field)| {
            if OPTIONAL.contains(&name) {
                body.property(name, or_null(field))
            } else {
                body.property(name, field)
            }
        });
        closed(requiring(body, required).examples(sample))
    }
}

impl PartialSchema for CancellationIn {
    fn schema() -> RefOr<Schema> {
        let reason = text("Why, in the passenger's words").max_length(Some(MAX_REASON));
        let body = ObjectBuilder::new().schema_type(Type::Object);
        let body = body.property("reason", or_null(reason));
        closed(body.examples(Some(json!({"reason": "change of plans"}))))
    }
}

impl PartialSchema for PaymentIn {
    fn schema() -> RefOr<Schema> {
        let status = words("The payment's new state", PaymentStatus::ALL);
        let body = requiring(object(vec![("paymentStatus", status)]), ["paymentStatus"]);
        closed(body.examples(Some(json!({"paymentStatus": "COMPLETED"}))))
    }
}

impl PartialSchema for BookingSchema {
    fn schema() -> RefOr<Schema> {
        let fields: Vec<_> = added().into_iter().chain(given()).collect();
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        let reason = text("Why it was cancelled, where a reason was given");
        let reason = reason.max_length(Some(MAX_REASON));
        requiring(object(fields), names)
            .property("cancelReason", reason)
            .into()
    }
}

impl PartialSchema for BookingPageSchema {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name("Booking"));
        let cursor = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("Asks for the next page; null on the last"));
        let page = ObjectBuilder::new().schema_type(Type::Object);
        let page = page.property("items", items).property("nextCursor", cursor);
        requiring(page, ["items", "nextCursor"]).into()
    }
}

macro_rules! named {
    ($($schema:ty = $name:literal,)+) => {
        $(impl ToSchema for $schema {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        })+
    };
}

named! {
    BookingIn = "BookingIn",
    CancellationIn = "CancellationIn",
    PaymentIn = "PaymentIn",
    BookingSchema = "Booking",
    BookingPageSchema = "BookingPage",
    TimelineItemSchema = "TimelineItem",
    TimelineSchema = "Timeline",
    NotificationSchema = "Notification",
    NotificationListSchema = "NotificationList",
}
