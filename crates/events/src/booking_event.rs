//! The event of the specification, its names and types.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::dead_letter::{DeadLetterClass, Stage};
use crate::{
    BookingStatus, CoachType, Email, EventId, EventType, Gender, InvalidEmail, InvalidPhone,
    IstDateTime, Known, Money, PaymentStatus, Phone, Pnr, Quota, RailTime, TrainNumber,
};

/// The value of a record on the three event topics.
///
/// Field order is that of the specification. The two addresses stay text here, for a wrong phone number must not cost the passenger the e-mail: each channel parses its own with [`BookingEvent::email`] or [`BookingEvent::phone`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BookingEvent {
    /// Identity of the event.
    pub event_id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// The booking's number in the booking database.
    pub booking_id: i64,
    /// The PNR, key of the record.
    pub pnr_number: Pnr,
    /// Booking status after the event.
    pub booking_status: Known<BookingStatus>,
    /// Payment status after the event.
    pub payment_status: Known<PaymentStatus>,
    /// The account that booked.
    pub user_id: i64,
    /// Where e-mail goes.
    #[serde(default)]
    pub user_email: Option<String>,
    /// Where SMS and `WhatsApp` go.
    #[serde(default)]
    pub user_phone: Option<String>,
    /// The account's name.
    pub user_name: String,
    /// The train's number in the train database.
    pub train_id: i64,
    /// The train number.
    pub train_number: TrainNumber,
    /// The train's name.
    pub train_name: String,
    /// Station of boarding.
    pub source_station: String,
    /// Station of arrival.
    pub destination_station: String,
    /// Date of boarding.
    pub journey_date: NaiveDate,
    /// Departure from the station of boarding.
    pub departure_time: RailTime,
    /// Arrival; the event does not say on which day.
    pub arrival_time: RailTime,
    /// Who travels.
    pub passenger_name: String,
    /// Age in years.
    pub passenger_age: u8,
    /// Gender.
    pub passenger_gender: Known<Gender>,
    /// Coach, `A1`.
    pub coach_number: String,
    /// Seat or berth.
    pub seat_number: String,
    /// Class of travel.
    pub coach_type: Known<CoachType>,
    /// What the passenger pays in all.
    pub total_fare: Money,
    /// The fare itself.
    pub base_fare: Money,
    /// The booking fee.
    pub convenience_fee: Money,
    /// Goods and services tax.
    pub gst_amount: Money,
    /// When the booking was made.
    pub booking_date: IstDateTime,
    /// When the event happened.
    pub event_timestamp: IstDateTime,
    /// The quota.
    pub quota_type: Known<Quota>,
    /// Booked under the Tatkal scheme.
    pub is_tatkal: bool,
    /// Where the booking came from, `WEB`.
    pub booking_source: String,
}

/// The bytes are not a booking event. Texts name fields, never their content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There is no value (a tombstone), or it has no bytes.
    #[error("the record has no value")]
    Empty,
    /// The value is not JSON.
    #[error("the value is not JSON: {category} at line {line} column {column}")]
    NotJson {
        /// What the parser met.
        category: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column, from 1; 0 at the end of a line.
        column: usize,
    },
    /// The value is JSON, but not an event.
    #[error("field {field}: {problem}")]
    Invalid {
        /// The path of the field; `.` is the whole value.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl DecodeError {
    /// The dead-letter class.
    pub const fn class(&self) -> DeadLetterClass {
        match self {
            Self::Empty | Self::NotJson { .. } => DeadLetterClass::Undecodable,
            Self::Invalid { .. } => DeadLetterClass::Invalid,
        }
    }

    /// The stage of the failure.
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Empty | Self::NotJson { .. } => Stage::Decode,
            Self::Invalid { .. } => Stage::Validate,
        }
    }
}

impl BookingEvent {
    /// Reads an event: unknown fields are ignored, times taken in every usual form.
    ///
    /// # Errors
    /// [`DecodeError::Empty`] without bytes, [`DecodeError::NotJson`] for what does not parse, [`DecodeError::Invalid`] for a field that is missing, of another JSON type, or without meaning.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        if value.is_empty() {
            return Err(DecodeError::Empty);
        }
        if is_array(value) {
            return Self::decode_slowly(value);
        }
        serde_json::from_slice(value).or_else(|_| Self::decode_slowly(value))
    }

    /// The second look at what did not parse finds the field at fault.
    fn decode_slowly(value: &[u8]) -> Result<Self, DecodeError> {
        let not_json = |error: &serde_json::Error| DecodeError::NotJson {
            category: if error.is_eof() {
                "unexpected end"
            } else {
                "syntax error"
            },
            line: error.line(),
            column: error.column(),
        };
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(value) {
            return Err(not_json(&error));
        }
        if is_array(value) {
            return Err(DecodeError::Invalid {
                field: ".".to_owned(),
                problem: "must be an object".to_owned(),
            });
        }
        let mut deserializer = serde_json::Deserializer::from_slice(value);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let field = error.path().to_string();
            match error.inner().classify() {
                serde_json::error::Category::Data => DecodeError::Invalid {
                    field,
                    problem: without_content(error.inner()),
                },
                serde_json::error::Category::Io
                | serde_json::error::Category::Syntax
                | serde_json::error::Category::Eof => not_json(error.inner()),
            }
        })
    }

    /// Writes the event as the specification has it.
    ///
    /// # Errors
    /// None that a value of this type can cause; the signature is that of the serializer.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The passenger's e-mail address.
    ///
    /// # Errors
    /// [`InvalidEmail`] if it is missing or no address.
    pub fn email(&self) -> Result<Email, InvalidEmail> {
        self.user_email.as_deref().unwrap_or_default().parse()
    }

    /// What is to stand beside a seat that is not confirmed: `RAC`, or `WL`, as the railway's own lists have it.
    pub fn short_of_a_seat(&self) -> Option<&'static str> {
        match self.booking_status.word()? {
            BookingStatus::Rac => Some("RAC"),
            BookingStatus::Waitlist => Some("WL"),
            BookingStatus::Confirmed | BookingStatus::Cancelled | BookingStatus::Completed => None,
        }
    }

    /// The passenger's phone number.
    ///
    /// # Errors
    /// [`InvalidPhone`] if it is missing or no number.
    pub fn phone(&self) -> Result<Phone, InvalidPhone> {
        self.user_phone.as_deref().unwrap_or_default().parse()
    }
}

/// Serde would take an array for the fields in their order.
fn is_array(value: &[u8]) -> bool {
    value.trim_ascii_start().starts_with(b"[")
}

/// Serde quotes what it met, which may be a name or a PNR: keep the sentence, drop the quotation and the place.
fn without_content(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(sentence, _)| sentence);
    let quoted = text.starts_with("invalid type") || text.starts_with("invalid value");
    match (text.find(['`', '"']), text.rfind("expected")) {
        (Some(open), Some(expected)) if quoted && open < expected => {
            let kind = text.get(..open).unwrap_or_default().trim_end();
            let rest = text.get(expected..).unwrap_or_default();
            format!("{kind}, {rest}")
        }
        (Some(_) | None, Some(_) | None) => text.to_owned(),
    }
}

/// Shows the identity only: everything else is about a person.
impl std::fmt::Debug for BookingEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BookingEvent")
            .field("event_id", &self.event_id)
            .field("event_type", &self.event_type)
            .field("pnr_number", &self.pnr_number)
            .finish_non_exhaustive()
    }
}
