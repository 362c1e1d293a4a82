//! One batch, one transaction.

use chassis::trace::Span;
use chrono::{DateTime, Utc};
use database::{Error, WriteTransaction};
use outbox::OutboxRow;
use tracing::info;

use crate::answer::Answer;
use crate::booking::{Booking, Change};
use crate::event;
use crate::store::NewAnswer;
use crate::writer::desk::{Desk, Verdict};
use crate::writer::{Reply, Submission, Task, Writer};

/// How often taken PNRs are replaced; of 9 billion, one taken is already rare.
const PNR_TRIES: u32 = 10;

/// Nothing of the batch was written, or, if the transaction broke at the commit, it is unknown.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error("another process answered a key of this batch")]
    KeyTaken,
    #[error("no free PNR was found")]
    NoFreePnr,
    #[error("the database failed")]
    Database(#[from] Error),
    #[error("an answer or event could not be encoded")]
    Encode(#[from] serde_json::Error),
}

impl Writer {
    /// Decides and writes a batch, then hands its events to the relay, all before anybody is answered.
    pub(super) async fn commit(
        &self,
        submissions: &[Submission],
    ) -> Result<Vec<Reply>, CommitError> {
        let now = self.clock.now();
        let mut transaction = self.store.begin().await?;
        let mut desk = self.load(&mut transaction, submissions, now).await?;
        let decide = |submission| desk.decide(submission, &self.pnrs);
        let verdicts = submissions.iter().map(decide).collect();
        let verdicts = self.number(&mut transaction, verdicts).await?;
        self.store.update(&mut transaction, &desk.changed()).await?;
        self.store
            .note_quiet_changes(&mut transaction, &quiet(&verdicts))
            .await?;
        let (rows, creating) = outbox_rows(submissions, &verdicts, now)?;
        let handover = self.outbox.insert(&mut transaction, rows).await?;
        let replies = replies(submissions, &verdicts)?;
        let kept = kept(submissions, &replies);
        if !self
            .store
            .keep_answers(&mut transaction, &kept, now)
            .await?
        {
            return Err(CommitError::KeyTaken);
        }
        transaction.commit().await?;
        drop(creating);
        self.outbox.hand_over(handover);
        verdicts.iter().for_each(tell);
        Ok(replies)
    }

    /// Keys before bookings: no writer waits for a row while it holds one that another waits for.
    async fn load(
        &self,
        transaction: &mut WriteTransaction,
        submissions: &[Submission],
        now: DateTime<Utc>,
    ) -> Result<Desk, Error> {
        let claims = submissions.iter().filter_map(|one| one.claim.as_ref());
        let keys: Vec<_> = claims.map(|claim| claim.scope_key.as_str()).collect();
        let kept = self.store.kept_answers(transaction, &keys, now).await?;
        let pnrs = submissions.iter().filter_map(|one| match &one.task {
            Task::Create(_) => None,
            Task::Change { pnr, .. } => Some(pnr.as_str()),
        });
        let pnrs: Vec<_> = pnrs.collect();
        let bookings = self.store.lock(transaction, &pnrs).await?;
        Ok(Desk::new(bookings, kept, now))
    }

    /// Writes the new bookings, giving another PNR to each whose own is taken.
    async fn number(
        &self,
        transaction: &mut WriteTransaction,
        mut verdicts: Vec<Verdict>,
    ) -> Result<Vec<Verdict>, CommitError> {
        for _ in 0..PNR_TRIES {
            let waiting: Vec<_> = verdicts.iter().filter_map(Verdict::waiting).collect();
            if waiting.is_empty() {
                return Ok(verdicts);
            }
            let mut numbers = self.store.insert(transaction, &waiting).await?;
            let numbered = verdicts.into_iter();
            let numbered = numbered.map(|verdict| verdict.numbered(&mut numbers, &self.pnrs));
            verdicts = numbered.collect();
        }
        Err(CommitError::NoFreePnr)
    }
}

fn outbox_rows(
    submissions: &[Submission],
    verdicts: &[Verdict],
    now: DateTime<Utc>,
) -> Result<(Vec<OutboxRow>, Vec<Span>), serde_json::Error> {
    let pairs = submissions.iter().zip(verdicts);
    let rows = pairs.filter_map(|(submission, verdict)| {
        let Change { booking, event } = verdict.change()?;
        let event = event.as_ref()?;
        Some(event::outbox_row(booking, event, submission.trace, now))
    });
    rows.collect()
}

/// Bookings after a change that no event tells of.
fn quiet(verdicts: &[Verdict]) -> Vec<&Booking> {
    let changes = verdicts.iter().filter_map(Verdict::change);
    let quiet = changes.filter(|change| change.event.is_none());
    quiet.map(|change| &change.booking).collect()
}

fn replies(submissions: &[Submission], verdicts: &[Verdict]) -> Result<Vec<Reply>, CommitError> {
    let pairs = submissions.iter().zip(verdicts);
    let reply = |(submission, verdict): (&Submission, &Verdict)| {
        Ok(match verdict {
            Verdict::Replayed(answer) => Reply::Replayed(answer.clone()),
            Verdict::KeyReused => Reply::KeyReused,
            Verdict::Refused(problem) => {
                Reply::Answered(Answer::refused(problem, &submission.instance))
            }
            Verdict::Unchanged(booking) => Reply::Answered(Answer::booking(booking)?),
            Verdict::Changed(change) => Reply::Answered(Answer::booking(&change.booking)?),
            Verdict::Created(change) => Reply::Answered(Answer::created(&change.booking)?),
            Verdict::Confirmed(_) => return Err(CommitError::NoFreePnr),
        })
    };
    pairs.map(reply).collect()
}

/// First answers to requests that brought a key.
fn kept<'a>(submissions: &'a [Submission], replies: &'a [Reply]) -> Vec<NewAnswer<'a>> {
    let pairs = submissions.iter().zip(replies);
    let kept = pairs.filter_map(|(submission, reply)| match reply {
        Reply::Answered(answer) => {
            let claim = submission.claim.as_ref()?;
            Some(NewAnswer::new(claim, answer))
        }
        Reply::Replayed(_) | Reply::KeyReused | Reply::Unavailable => None,
    });
    kept.collect()
}

/// One line for each accepted change.
fn tell(verdict: &Verdict) {
    let Some(Change { booking, event }) = verdict.change() else {
        return;
    };
    info!(
        booking.id = booking.id,
        booking.version = booking.version,
        booking.status = booking.status.as_str(),
        payment.status = booking.payment_status.as_str(),
        pnr = booking.pnr.masked(),
        event.id = event.as_ref().map(|event| event.id.as_str()),
        event.type = event.as_ref().map(|event| event.event_type.as_str()),
        "booking changed"
    );
}
