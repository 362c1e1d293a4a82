//! Railway times: Indian Standard Time, written without a zone.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// Indian Standard Time, UTC+05:30 all year.
///
/// # Panics
/// Never: the offset is a constant within range.
pub fn ist() -> FixedOffset {
    #[expect(clippy::expect_used, reason = "19,800 seconds is less than a day")]
    FixedOffset::east_opt(19_800).expect("within a day")
}

/// A date and time of `bookingDate` or `eventTimestamp`: `YYYY-MM-DDTHH:MM:SS`, Indian Standard Time.
///
/// Read with `T` or a space, with and without seconds and their fractions (cut off), with `Z` or an offset (converted).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IstDateTime(NaiveDateTime);

/// A time of day of `departureTime` or `arrivalTime`: `HH:MM:SS`, read also as `HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RailTime(NaiveTime);

/// A date and a time of day of ISO 8601, and with the space of databases.
const LOCAL: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
];

/// The same with `Z`, `+05:30`, `+0530` or `+05`.
const WITH_OFFSET: [&str; 4] = [
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
];

/// The text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct InvalidTime(&'static str);

impl IstDateTime {
    /// The instant as a clock in India shows it, to the second.
    pub fn from_utc(instant: DateTime<Utc>) -> Self {
        Self::whole_seconds(instant.with_timezone(&ist()).naive_local())
    }

    /// The instant.
    pub fn to_utc(self) -> DateTime<Utc> {
        match ist().from_local_datetime(&self.0).single() {
            Some(instant) => instant.to_utc(),
            None => DateTime::<Utc>::MIN_UTC,
        }
    }

    /// What the clock on the wall showed.
    pub fn wall_clock(self) -> NaiveDateTime {
        self.0
    }

    fn whole_seconds(local: NaiveDateTime) -> Self {
        Self(local.with_nanosecond(0).unwrap_or(local))
    }
}

impl RailTime {
    /// The time of day.
    pub fn time(self) -> NaiveTime {
        self.0
    }
}

impl FromStr for IstDateTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let local = |format: &&str| NaiveDateTime::parse_from_str(text, format).ok();
        if let Some(local) = LOCAL.iter().find_map(local) {
            return Ok(Self::whole_seconds(local));
        }
        let instant = |format: &&str| DateTime::parse_from_str(text, format).ok();
        let instant = WITH_OFFSET.iter().find_map(instant);
        instant
            .or_else(|| DateTime::parse_from_rfc3339(text).ok())
            // The years that can be written go beyond those that a zone can be added to.
            .and_then(|instant| instant.naive_utc().checked_add_offset(ist()))
            .map(Self::whole_seconds)
            .ok_or(InvalidTime("a date and time such as 2024-01-01T10:00:00"))
    }
}

impl FromStr for RailTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        ["%H:%M:%S%.f", "%H:%M"]
            .iter()
            .find_map(|format| NaiveTime::parse_from_str(text, format).ok())
            .map(|time| Self(time.with_nanosecond(0).unwrap_or(time)))
            .ok_or(InvalidTime("a time such as 16:00:00"))
    }
}

impl fmt::Display for IstDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%S"))
    }
}

impl fmt::Display for RailTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%H:%M:%S"))
    }
}

impl TryFrom<String> for IstDateTime {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        text.parse()
    }
}

impl TryFrom<String> for RailTime {
    type Error = InvalidTime;

    fn try_from(text: String) -> Result<Self, InvalidTime> {
        text.parse()
    }
}

impl From<IstDateTime> for String {
    fn from(time: IstDateTime) -> Self {
        time.to_string()
    }
}

impl From<RailTime> for String {
    fn from(time: RailTime) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_of_every_producer_mean_the_same_instant() {
        for text in [
            "2024-01-01T10:00:00",
            "2024-01-01 10:00:00",
            "2024-01-01T10:00",
            "2024-01-01 10:00",
            "2024-01-01T10:00:00.123456",
            "2024-01-01T04:30:00Z",
            "2024-01-01t04:30:00z",
            "2024-01-01 04:30:00.5Z",
            "2024-01-01T04:30Z",
            "2024-01-01 04:30Z",
            "2024-01-01T10:00:00+05:30",
            "2024-01-01T10:00:00+0530",
            "2024-01-01 10:00:00.123+0530",
            "2024-01-01T10:00+05:30",
            "2024-01-01 10:00+05:30",
            "2024-01-01T10:00+0530",
            "2024-01-01 10:00:00 +0530",
            "2024-01-01T05:30:00.9+01:00",
            "2024-01-01T05:30:00+01",
            "2023-12-31T23:30:00-05:00",
            "2023-12-31T23:30-0500",
        ] {
            let time: IstDateTime = text.parse().unwrap();
            assert_eq!(time.to_string(), "2024-01-01T10:00:00", "{text}");
            assert_eq!(time.to_utc().to_rfc3339(), "2024-01-01T04:30:00+00:00");
        }
        for bad in [
            "yesterday",
            "2024-01-01",
            "2024-01-01T10",
            "2024-01-01T10:00+5",
            "2024-01-01T10:00:00 IST",
            "2024-01-01T10:00:00+05:30 or so",
            "+262142-12-31T23:59:59Z",
        ] {
            assert!(bad.parse::<IstDateTime>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_seconds() {
        assert_eq!("16:00".parse::<RailTime>().unwrap().to_string(), "16:00:00");
        assert_eq!(
            "16:00:05.5".parse::<RailTime>().unwrap().to_string(),
            "16:00:05"
        );
        assert!("24:00".parse::<RailTime>().is_err());
    }
}
