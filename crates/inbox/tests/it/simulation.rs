//! Random schedules against the promises: events in any order and more than once, workers that crash, sleep and lose their leases, providers that take, refuse and forget to answer, a clock that moves by fits.
//!
//! `SIMULATION_SEED=n` repeats one schedule; `SIMULATION_SCHEDULES=n` sets how many are run.

#![expect(
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test tells its story and fails by panicking"
)]

mod judging;
mod schedules;

use std::collections::{BTreeMap, BTreeSet};

use super::at_once::{bare_record, idle};
use super::*;

/// A worker does not send later in its lease.
const USABLE_LEASE: Duration = Duration::from_secs(20);

const BOTH: [&str; 2] = ["smtp", "twilio"];

/// What a worker did with its claim so far.
struct InHand {
    row: Claimed,
    provider: &'static str,
    claimed_at: DateTime<Utc>,
    outcome: Option<Outcome>,
}

/// A message that a provider took.
struct Taken {
    event: String,
    pnr: String,
    provider: &'static str,
    version: i64,
}

struct World {
    /// Handed on to the next schedule.
    fixture: Option<Fixture>,
    random: fastrand::Rng,
    log: Vec<String>,
    /// Written to the topics and not read yet; a record may be read again.
    unread: Vec<Arrival>,
    versions: BTreeMap<String, (String, i64, EventType)>,
    in_hand: Vec<InHand>,
    ledger: Vec<Taken>,
    dead_letters: BTreeSet<String>,
    /// Events that, as far as the rows tell, may have been taken.
    suspected: BTreeSet<String>,
    /// How often an event may have been taken without our knowing it.
    doubts: BTreeMap<String, usize>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log.join("\n"));
        }
    }
}

impl World {
    async fn new(fixture: Fixture, seed: u64) -> Self {
        let sql = "delete from inbox";
        sqlx::query(sql).execute(&fixture.database).await.unwrap();
        let mut world = Self {
            fixture: Some(fixture),
            random: fastrand::Rng::with_seed(seed),
            log: Vec::new(),
            unread: Vec::new(),
            versions: BTreeMap::new(),
            in_hand: Vec::new(),
            ledger: Vec::new(),
            dead_letters: BTreeSet::new(),
            suspected: BTreeSet::new(),
            doubts: BTreeMap::new(),
        };
        for booking in 1..=world.random.u32(1..=4) {
            world.book(&format!("240000000{booking}"));
        }
        world.random.shuffle(&mut world.unread);
        world
    }

    /// The life of a booking: confirmed, perhaps paid, perhaps cancelled; with the headers of the contract or without.
    fn book(&mut self, pnr: &str) {
        let bare = self.random.u8(0..4) == 0;
        let mut history = String::new();
        let events = [CONFIRMED, PAID, CANCELLED].into_iter();
        let lived: Vec<_> = events
            .filter(|event| *event == CONFIRMED || self.random.bool())
            .collect();
        for (index, event) in lived.into_iter().enumerate() {
            let version = i64::try_from(index).unwrap() + 1;
            let id = format!("{pnr}-{event}");
            let known = (!bare).then_some((version, history.as_str()));
            self.unread.push(simulated(&id, pnr, event, known));
            history = [history.as_str(), &format!("{event}={version}")]
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(",");
            let order = if bare { place(event) } else { version };
            self.versions.insert(id, (pnr.to_owned(), order, event));
        }
    }

    fn fixture(&self) -> &Fixture {
        self.fixture.as_ref().unwrap()
    }

    fn note(&mut self, what: &str) {
        let at = self.fixture().clock.now() - START;
        self.log
            .push(format!("{:>8} ms  {what}", at.num_milliseconds()));
    }

    async fn step(&mut self) {
        match self.random.u8(0..20) {
            0..=4 => self.read().await,
            5..=9 => self.claim().await,
            10..=12 => self.send(),
            13..=15 => self.settle().await,
            16 => self.crash(),
            17 => self.replay().await,
            18 => {
                let time = Duration::from_millis(self.random.u64(0..3_000));
                self.wait(time).await;
            }
            _ => {
                let time = Duration::from_secs(self.random.u64(0..45));
                self.wait(time).await;
            }
        }
    }

    /// A batch of records, some of them perhaps read before; now and then the transaction fails.
    async fn read(&mut self) {
        let count = self.random.usize(0..=self.unread.len().min(3));
        let batch: Vec<_> = self.unread.drain(..count).collect();
        if self.random.u8(0..8) == 0 {
            let mut transaction = self.fixture().database.begin().await.unwrap();
            let store = self.fixture().inbox.store(&mut transaction, &batch, None);
            store.await.unwrap();
            drop(transaction);
            self.note(&format!("lost a batch of {count} before its commit"));
            self.unread.splice(0..0, batch);
            return;
        }
        let provider = BOTH[self.random.usize(0..BOTH.len())];
        let idle = idle(provider, self.random.usize(0..=2));
        let stored = self.fixture().store_with(&batch, idle).await;
        self.note(&format!("read {stored:?} for {provider}"));
        for row in stored.iter().filter(|row| row.place == Place::Claimed) {
            let (pnr, _, event) = &self.versions[&row.event_id];
            let record = bare_record(&row.event_id, pnr, *event);
            self.take_in_hand(Claimed::at_once(record, row), provider);
        }
        self.one_in_flight_for_each_pnr().await;
        // Its offset may not have been committed.
        if self.random.u8(0..4) == 0 {
            self.unread.extend(batch);
        }
    }

    async fn claim(&mut self) {
        let provider = BOTH[self.random.usize(0..BOTH.len())];
        let choice = match self.random.u8(0..4) {
            0 => Choice::InDoubt,
            _ => Choice::Any,
        };
        let limit = self.random.usize(1..=3);
        let claim = self.fixture().inbox.claim((provider, choice), limit, LEASE);
        for row in claim.await.unwrap() {
            self.note(&format!(
                "{provider} claims {:?}",
                ids(std::slice::from_ref(&row))
            ));
            self.take_in_hand(row, provider);
        }
        self.one_in_flight_for_each_pnr().await;
    }

    fn take_in_hand(&mut self, row: Claimed, provider: &'static str) {
        self.in_hand.push(InHand {
            row,
            provider,
            claimed_at: self.fixture().clock.now(),
            outcome: None,
        });
    }

    async fn one_in_flight_for_each_pnr(&self) {
        let sql = "select count(*) from (select pnr from inbox where state = 'CLAIMED' group by pnr having count(*) > 1) as doubled";
        let doubled: i64 = sqlx::query_scalar(sql)
            .fetch_one(&self.fixture().database)
            .await
            .unwrap();
        assert_eq!(doubled, 0, "two messages of one PNR in flight");
    }

    /// One of the workers does its work: what it does, and what it makes of it.
    fn send(&mut self) {
        let idle: Vec<_> = (0..self.in_hand.len())
            .filter(|index| self.in_hand[*index].outcome.is_none())
            .collect();
        if idle.is_empty() {
            return;
        }
        let index = idle[self.random.usize(0..idle.len())];
        let answer = self.random.u8(0..8);
        self.act(index, answer);
    }

    fn act(&mut self, index: usize, answer: u8) {
        let InHand {
            row,
            provider,
            claimed_at,
            ..
        } = &self.in_hand[index];
        let provider = *provider;
        let id = ids(std::slice::from_ref(row)).remove(0);
        let late =
            self.fixture().clock.now() - *claimed_at > TimeDelta::from_std(USABLE_LEASE).unwrap();
        let after = Duration::from_millis(u64::from(answer) * 700);
        let outcome = match (&row.fate, &row.verdict) {
            (_, Some(verdict)) => self.bury(&id, verdict.clone()),
            (Fate::Suppress { reason }, None) => Outcome::Suppressed {
                reason: reason.clone(),
            },
            (Fate::Expire { reason }, None) => Outcome::Expired {
                reason: reason.clone(),
            },
            (Fate::Send, None) if late => Outcome::Defer {
                after: Duration::ZERO,
                certainty: Certainty::Unchanged,
                reason: "the lease was nearly over".to_owned(),
            },
            (Fate::Send, None) => match answer {
                0..=2 => {
                    self.take(&id, provider);
                    sent()
                }
                3 => {
                    self.take(&id, provider);
                    *self.doubts.entry(id.clone()).or_default() += 1;
                    Outcome::Retry {
                        after,
                        certainty: Certainty::Unsure,
                        reason: "no answer".to_owned(),
                    }
                }
                4 => retry(after),
                5 => Outcome::Defer {
                    after,
                    certainty: Certainty::Unchanged,
                    reason: "429".to_owned(),
                },
                6 => Outcome::Condemned {
                    after,
                    verdict: verdict(),
                },
                _ => self.bury(&id, verdict()),
            },
        };
        self.note(&format!("{provider} works on {id}: {outcome:?}"));
        self.in_hand[index].outcome = Some(outcome);
    }

    fn bury(&mut self, id: &str, verdict: Verdict) -> Outcome {
        self.dead_letters.insert(id.to_owned());
        Outcome::Dead { verdict }
    }

    /// The provider takes the message: here the promises are kept or broken.
    fn take(&mut self, id: &str, provider: &'static str) {
        let (pnr, version, kind) = self.versions[id].clone();
        for earlier in self.ledger.iter().filter(|taken| taken.pnr == pnr) {
            let again = earlier.event == id;
            assert!(
                again || kind == PAID || earlier.version < version,
                "{id} after {}",
                earlier.event
            );
            assert!(
                !again || earlier.provider == provider,
                "{id} through two providers"
            );
        }
        self.ledger.push(Taken {
            event: id.to_owned(),
            pnr,
            provider,
            version,
        });
    }

    async fn settle(&mut self) {
        let done: Vec<_> = (0..self.in_hand.len())
            .filter(|index| self.in_hand[*index].outcome.is_some())
            .collect();
        if done.is_empty() {
            return;
        }
        let index = done[self.random.usize(0..done.len())];
        let InHand { row, outcome, .. } = self.in_hand.swap_remove(index);
        let provider = BOTH[self.random.usize(0..BOTH.len())];
        let more = match self.random.u8(..4) {
            0 | 1 => More::Nothing,
            2 => More::Next(idle(provider, 1)),
            _ => More::Due(idle(provider, 1)),
        };
        let settling = self.fixture().settle_for(&row, outcome.unwrap(), more);
        let (counted, next) = settling.await;
        self.note(&format!(
            "settled {:?}: {counted}, {provider} goes on with {:?}",
            ids(std::slice::from_ref(&row)),
            ids(&next)
        ));
        for row in next {
            self.take_in_hand(row, provider);
        }
        self.one_in_flight_for_each_pnr().await;
        if counted == 0 {
            self.doubt(&row);
        }
    }

    /// What was sent and could not be noted may be sent again.
    fn doubt(&mut self, row: &Claimed) {
        let id = ids(std::slice::from_ref(row)).remove(0);
        *self.doubts.entry(id).or_default() += 1;
    }

    /// A process dies with what it has in hand.
    fn crash(&mut self) {
        if self.in_hand.is_empty() {
            return;
        }
        let index = self.random.usize(0..self.in_hand.len());
        let lost = self.in_hand.swap_remove(index);
        self.note(&format!(
            "a worker dies with {:?}",
            ids(std::slice::from_ref(&lost.row))
        ));
        self.doubt(&lost.row);
    }

    async fn replay(&mut self) {
        let letters: Vec<_> = self.dead_letters.iter().cloned().collect();
        if letters.is_empty() {
            return;
        }
        let id = &letters[self.random.usize(0..letters.len())];
        let (pnr, version, kind) = self.versions[id].clone();
        let back = simulated(id, &pnr, kind, Some((version, "")));
        let reopened = self.fixture().reopen(&[back]).await;
        self.note(&format!("replayed {id}: {reopened:?}"));
    }

    async fn wait(&mut self, time: Duration) {
        self.fixture().pass(time);
        let freed = self.fixture().inbox.recover().await.unwrap();
        let sql = "select event_id from inbox where unsure_of is not null";
        let unsure: Vec<String> = sqlx::query_scalar(sql)
            .fetch_all(&self.fixture().database)
            .await
            .unwrap();
        self.suspected.extend(unsure);
        self.note(&format!("{time:?} pass, {freed} claims run out"));
    }
}

const fn place(event: EventType) -> i64 {
    match event {
        EventType::BookingConfirmed => 1,
        EventType::PaymentCompleted => 2,
        EventType::BookingCancelled => 3,
    }
}

fn simulated(id: &str, pnr: &str, event_type: EventType, known: Option<(i64, &str)>) -> Arrival {
    let record = bare_record(id, pnr, event_type);
    let event = BookingEvent::decode(record.value.as_deref().unwrap()).unwrap();
    let mut headers = ReadHeaders::default();
    if let Some((version, history)) = known {
        headers.booking_version = Some(version);
        headers.history = history.parse().ok();
    }
    Arrival::new(record, &event, &headers, &EventType::ALL).unwrap()
}
