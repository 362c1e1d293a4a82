//! What was booked, in the names of the contract. It never changes after the booking.

use chrono::NaiveDate;
use events::{CoachType, Email, Gender, Money, Phone, Quota, RailTime, TrainNumber};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The account, the train, the passenger, the seat and the fare.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Details {
    pub(crate) user_id: i64,
    #[serde(deserialize_with = "email")]
    pub(crate) user_email: Email,
    #[serde(serialize_with = "wire", deserialize_with = "phone")]
    pub(crate) user_phone: Phone,
    pub(crate) user_name: String,
    pub(crate) train_id: i64,
    pub(crate) train_number: TrainNumber,
    pub(crate) train_name: String,
    pub(crate) source_station: String,
    pub(crate) destination_station: String,
    pub(crate) journey_date: NaiveDate,
    pub(crate) departure_time: RailTime,
    pub(crate) arrival_time: RailTime,
    pub(crate) passenger_name: String,
    pub(crate) passenger_age: u8,
    pub(crate) passenger_gender: Gender,
    pub(crate) coach_number: String,
    pub(crate) seat_number: String,
    pub(crate) coach_type: CoachType,
    pub(crate) total_fare: Money,
    pub(crate) base_fare: Money,
    pub(crate) convenience_fee: Money,
    pub(crate) gst_amount: Money,
    pub(crate) quota_type: Quota,
    pub(crate) is_tatkal: bool,
    pub(crate) booking_source: String,
}

/// Nearly every field is about a person: none is shown.
impl std::fmt::Debug for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Details(…)")
    }
}

fn email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Email, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

fn phone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Phone, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

fn wire<S: Serializer>(phone: &Phone, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(phone.wire())
}
