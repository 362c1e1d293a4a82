//! The rules of a booking: what may happen to it, and what is told of it. No I/O, no clock, no chance.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use events::{BookingStatus, EventId, EventType, History, PaymentStatus, Pnr};

use crate::details::Details;

/// A booking as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    /// The database's number for it; 0 in a [`NewBooking`], which has none yet.
    pub(crate) id: i64,
    pub(crate) pnr: Pnr,
    /// 1 when made, one more with every change.
    pub(crate) version: i64,
    pub(crate) status: BookingStatus,
    pub(crate) payment_status: PaymentStatus,
    /// Every event told of it so far.
    pub(crate) history: History,
    pub(crate) details: Arc<Details>,
    pub(crate) cancel_reason: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A confirmed booking that waits for its number.
#[derive(Clone, Debug)]
pub(crate) struct NewBooking {
    booking: Booking,
    event_id: EventId,
}

/// When a command is obeyed, and the id of the event that may come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: DateTime<Utc>,
    pub(crate) event_id: EventId,
}

/// What a passenger may ask of a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Cancel { reason: Option<String> },
    SetPaymentStatus(PaymentStatus),
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was so already: nothing to write, nothing to tell.
    Unchanged(Booking),
    Changed(Change),
}

/// A booking after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) booking: Booking,
    /// What is told of it, if anything.
    pub(crate) event: Option<Announcement>,
}

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) id: EventId,
    pub(crate) event_type: EventType,
    /// All events before this one.
    pub(crate) earlier: History,
}

/// Why a command was not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the booking is already cancelled")]
    AlreadyCancelled,
    #[error("the journey is over")]
    JourneyOver,
    #[error("a payment that is {from} cannot become {to}")]
    PaymentTransition {
        from: PaymentStatus,
        to: PaymentStatus,
    },
    #[error("the booking is cancelled: its payment can only be refunded, not become {to}")]
    PaymentAfterCancellation { to: PaymentStatus },
}

impl NewBooking {
    pub(crate) fn confirmed(pnr: Pnr, details: Arc<Details>, at: Moment) -> Self {
        let booking = Booking {
            id: 0,
            pnr,
            version: 1,
            status: BookingStatus::Confirmed,
            payment_status: PaymentStatus::Pending,
            history: History::default().with(EventType::BookingConfirmed, 1),
            details,
            cancel_reason: None,
            created_at: at.now,
            updated_at: at.now,
        };
        Self {
            booking,
            event_id: at.event_id,
        }
    }

    /// Everything but the number.
    pub(crate) fn booking(&self) -> &Booking {
        &self.booking
    }

    /// Another PNR, for one that was taken.
    pub(crate) fn rename(&mut self, pnr: Pnr) {
        self.booking.pnr = pnr;
    }

    pub(crate) fn numbered(self, id: i64) -> Change {
        Change {
            booking: Booking { id, ..self.booking },
            event: Some(Announcement {
                id: self.event_id,
                event_type: EventType::BookingConfirmed,
                earlier: History::default(),
            }),
        }
    }
}

impl Booking {
    /// Obeys a command, or says why not.
    pub(crate) fn apply(&self, command: &Command, at: Moment) -> Result<Outcome, Refusal> {
        match command {
            Command::Cancel { reason } => self.cancel(reason.clone(), at).map(Outcome::Changed),
            Command::SetPaymentStatus(to) if *to == self.payment_status => {
                Ok(Outcome::Unchanged(self.clone()))
            }
            Command::SetPaymentStatus(to) => self.pay(*to, at).map(Outcome::Changed),
        }
    }

    fn cancel(&self, reason: Option<String>, at: Moment) -> Result<Change, Refusal> {
        match self.status {
            BookingStatus::Cancelled => Err(Refusal::AlreadyCancelled),
            BookingStatus::Completed => Err(Refusal::JourneyOver),
            BookingStatus::Confirmed | BookingStatus::Rac | BookingStatus::Waitlist => {
                let mut booking = self.next(at.now);
                booking.status = BookingStatus::Cancelled;
                booking.cancel_reason = reason;
                Ok(booking.announcing(EventType::BookingCancelled, at.event_id))
            }
        }
    }

    fn pay(&self, to: PaymentStatus, at: Moment) -> Result<Change, Refusal> {
        let from = self.payment_status;
        if !may_follow(from, to) {
            return Err(Refusal::PaymentTransition { from, to });
        }
        if self.status == BookingStatus::Cancelled && !is_refund(to) {
            return Err(Refusal::PaymentAfterCancellation { to });
        }
        let mut booking = self.next(at.now);
        booking.payment_status = to;
        if to == PaymentStatus::Completed {
            return Ok(booking.announcing(EventType::PaymentCompleted, at.event_id));
        }
        Ok(Change {
            booking,
            event: None,
        })
    }

    fn next(&self, now: DateTime<Utc>) -> Self {
        Self {
            version: self.version + 1,
            updated_at: now,
            ..self.clone()
        }
    }

    fn announcing(mut self, event_type: EventType, id: EventId) -> Change {
        let earlier = std::mem::take(&mut self.history);
        self.history = earlier.clone().with(event_type, self.version);
        Change {
            booking: self,
            event: Some(Announcement {
                id,
                event_type,
                earlier,
            }),
        }
    }
}

fn may_follow(from: PaymentStatus, to: PaymentStatus) -> bool {
    use PaymentStatus::{Completed, Failed, PartiallyRefunded, Pending, Refunded};
    let next: &[PaymentStatus] = match from {
        Pending => &[Completed, Failed],
        Failed => &[Pending, Completed],
        Completed => &[Refunded, PartiallyRefunded],
        PartiallyRefunded => &[Refunded],
        Refunded => &[],
    };
    next.contains(&to)
}

fn is_refund(status: PaymentStatus) -> bool {
    matches!(
        status,
        PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded
    )
}

#[cfg(test)]
mod tests;
