//! Deciding a batch in memory: several commands for one booking are obeyed one after another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chassis::chance;
use chrono::{DateTime, Utc};
use events::Pnr;

use crate::answer::{Answer, Kind, Problem};
use crate::booking::{Booking, Change, Command, Moment, NewBooking, Outcome};
use crate::pnr::PnrSource;
use crate::store::KeptAnswer;
use crate::writer::{Precondition, Submission, Task};

/// What is decided about one command.
#[derive(Debug)]
pub(super) enum Verdict {
    Replayed(Answer),
    KeyReused,
    Refused(Problem),
    Unchanged(Booking),
    Changed(Change),
    /// A new booking that has no number yet.
    Confirmed(NewBooking),
    /// A new booking with its number.
    Created(Change),
}

impl Verdict {
    /// The booking that waits for its number.
    pub(super) fn waiting(&self) -> Option<&NewBooking> {
        if let Self::Confirmed(new) = self {
            Some(new)
        } else {
            None
        }
    }

    /// With its number, if its PNR was free; with another PNR, if not.
    pub(super) fn numbered(self, numbers: &mut BTreeMap<String, i64>, pnrs: &PnrSource) -> Self {
        let Self::Confirmed(mut new) = self else {
            return self;
        };
        if let Some(number) = numbers.remove(new.booking().pnr.as_str()) {
            return Self::Created(new.numbered(number));
        }
        new.rename(pnrs.next());
        Self::Confirmed(new)
    }

    /// What is to be told of, in the log and in an event.
    pub(super) fn change(&self) -> Option<&Change> {
        match self {
            Self::Changed(change) | Self::Created(change) => Some(change),
            Self::Replayed(_)
            | Self::KeyReused
            | Self::Refused(_)
            | Self::Unchanged(_)
            | Self::Confirmed(_) => None,
        }
    }
}

/// The bookings of a batch, as loaded and then as changed, and the answers given before.
#[derive(Debug)]
pub(super) struct Desk {
    bookings: BTreeMap<Pnr, Booking>,
    changed: BTreeSet<Pnr>,
    kept: BTreeMap<String, KeptAnswer>,
    now: DateTime<Utc>,
}

impl Desk {
    pub(super) fn new(
        bookings: Vec<Booking>,
        kept: BTreeMap<String, KeptAnswer>,
        now: DateTime<Utc>,
    ) -> Self {
        let bookings = bookings.into_iter();
        Self {
            bookings: bookings.map(|known| (known.pnr.clone(), known)).collect(),
            changed: BTreeSet::new(),
            kept,
            now,
        }
    }

    pub(super) fn decide(&mut self, submission: &Submission, pnrs: &PnrSource) -> Verdict {
        if let Some(verdict) = self.decided_before(submission) {
            return verdict;
        }
        match &submission.task {
            Task::Create(details) => {
                let details = Arc::clone(details);
                Verdict::Confirmed(NewBooking::confirmed(pnrs.next(), details, self.moment()))
            }
            Task::Change {
                pnr,
                only_if,
                command,
            } => self.change(pnr, only_if, command),
        }
    }

    fn decided_before(&self, submission: &Submission) -> Option<Verdict> {
        let claim = submission.claim.as_ref()?;
        let kept = self.kept.get(&claim.scope_key)?;
        Some(if kept.fingerprint == claim.fingerprint {
            Verdict::Replayed(kept.answer.clone())
        } else {
            Verdict::KeyReused
        })
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.now,
            event_id: chance::uuid_v7(self.now).into(),
        }
    }

    fn change(&mut self, pnr: &Pnr, only_if: &Precondition, command: &Command) -> Verdict {
        let moment = self.moment();
        let Some(booking) = self.bookings.get_mut(pnr) else {
            return Verdict::Refused(Problem::booking_not_found());
        };
        if !only_if.is_met_by(booking.version) {
            let detail = format!("the booking's version is {}", booking.version);
            return Verdict::Refused(Problem::new(Kind::VersionMismatch, detail));
        }
        match booking.apply(command, moment) {
            Ok(Outcome::Unchanged(booking)) => Verdict::Unchanged(booking),
            Ok(Outcome::Changed(change)) => {
                *booking = change.booking.clone();
                self.changed.insert(pnr.clone());
                Verdict::Changed(change)
            }
            Err(refusal) => Verdict::Refused(refusal.into()),
        }
    }

    /// Every booking that changed, as it stands at the end of the batch.
    pub(super) fn changed(&self) -> Vec<&Booking> {
        let changed = self.changed.iter();
        changed.filter_map(|pnr| self.bookings.get(pnr)).collect()
    }
}
