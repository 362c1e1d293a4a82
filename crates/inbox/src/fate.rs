//! Whether a claimed row is still worth sending. Judged at each claim, so also after a retry, an open circuit, a replay and a restart.

use std::time::Duration;

use chrono::{DateTime, Utc};
use events::EventType;

/// What is to be done with a claimed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Send it.
    Send,
    /// It is no longer true: say nothing.
    Suppress {
        /// Why, naming nobody.
        reason: String,
    },
    /// It is old news: say nothing.
    Expire {
        /// Why, naming nobody.
        reason: String,
    },
}

/// What is known when a row is claimed.
#[derive(Clone, Debug)]
pub(crate) struct Circumstances {
    pub(crate) event_type: EventType,
    /// The version of a later cancellation of the PNR, in whatever state.
    pub(crate) cancelled: Option<i64>,
    /// The newest later event of the PNR that was, or may have been, sent on this channel, and its version.
    pub(crate) told: Option<(EventType, i64)>,
    /// When the record was written, where the broker said so.
    pub(crate) written_at: Option<DateTime<Utc>>,
}

impl Circumstances {
    pub(crate) fn fate(&self, now: DateTime<Utc>, max_age: Duration) -> Fate {
        let age = self.written_at.and_then(|at| (now - at).to_std().ok());
        if let Some(age) = age.filter(|age| *age > max_age) {
            let reason = too_old(age, max_age);
            return Fate::Expire { reason };
        }
        match (self.event_type, self.cancelled, self.told) {
            (EventType::BookingConfirmed, Some(version), _) => Fate::Suppress {
                reason: format!(
                    "superseded: the booking was cancelled (version {version}) before this was sent"
                ),
            },
            (
                EventType::BookingConfirmed | EventType::BookingCancelled,
                _,
                Some((told, version)),
            ) => Fate::Suppress {
                reason: format!("stale: {told} (version {version}) was told before"),
            },
            // A receipt tells of money, which nothing later makes untrue.
            (EventType::PaymentCompleted, _, _)
            | (EventType::BookingConfirmed | EventType::BookingCancelled, _, None) => Fate::Send,
        }
    }
}

/// Why a record is old news.
pub(crate) fn too_old(age: Duration, max_age: Duration) -> String {
    let (age, limit) = (age.as_secs(), max_age.as_secs());
    format!("too old: the record was written {age} s ago, the limit is {limit} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;
    const DAY: Duration = Duration::from_hours(24);

    fn row(event_type: EventType) -> Circumstances {
        Circumstances {
            event_type,
            cancelled: None,
            told: None,
            written_at: Some(NOW),
        }
    }

    fn fate(row: &Circumstances) -> &'static str {
        match row.fate(NOW, DAY) {
            Fate::Send => "send",
            Fate::Suppress { reason } if reason.starts_with("superseded") => "superseded",
            Fate::Suppress { reason } if reason.starts_with("stale") => "stale",
            Fate::Suppress { .. } => "suppressed for no reason",
            Fate::Expire { .. } => "expired",
        }
    }

    #[test]
    fn confirmed_is_superseded_by_cancelled_and_nothing_else_is() {
        for (event, expected) in [
            (EventType::BookingConfirmed, "superseded"),
            (EventType::PaymentCompleted, "send"),
            (EventType::BookingCancelled, "send"),
        ] {
            let cancelled = Some(3);
            assert_eq!(
                fate(&Circumstances {
                    cancelled,
                    ..row(event)
                }),
                expected,
                "{event}"
            );
        }
    }

    #[test]
    fn what_is_older_than_what_was_told_is_stale_except_a_receipt() {
        for (event, expected) in [
            (EventType::BookingConfirmed, "stale"),
            (EventType::PaymentCompleted, "send"),
            (EventType::BookingCancelled, "stale"),
        ] {
            let told = Some((EventType::BookingCancelled, 9));
            assert_eq!(
                fate(&Circumstances { told, ..row(event) }),
                expected,
                "{event}"
            );
        }
    }

    #[test]
    fn the_age_of_the_record_decides_whether_it_is_old_news() {
        let written = |hours| row_written(NOW - chrono::TimeDelta::hours(hours));
        assert_eq!(fate(&written(24)), "send");
        assert_eq!(fate(&written(25)), "expired");
        let undated = Circumstances {
            written_at: None,
            ..row(EventType::BookingConfirmed)
        };
        assert_eq!(fate(&undated), "send");
    }

    fn row_written(at: DateTime<Utc>) -> Circumstances {
        Circumstances {
            written_at: Some(at),
            ..row(EventType::PaymentCompleted)
        }
    }
}
