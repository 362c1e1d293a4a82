//! Every message that was accepted, and nothing else.

mod journal;
mod shelf;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chassis::{Failure, SharedClock};
use events::{Channel, EventId, Pnr};
use tokio::sync::{broadcast, watch};

use self::journal::{Entry, Journal, ReadEntry};
use self::shelf::Shelf;
use crate::accepted::{Accepted, Provider};

/// Messages a subscriber may be behind before it misses some.
const NEWS: usize = 4096;

/// The append-only record of accepted messages. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    state: Arc<Mutex<State>>,
    news: broadcast::Sender<Arc<Accepted>>,
    cleared: watch::Sender<u64>,
    clock: SharedClock,
}

#[derive(Debug, Default)]
struct State {
    journal: Option<Journal>,
    shelf: Shelf,
    seq: u64,
    ever: Counts,
}

/// Messages by channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([u64; 3]);

impl Counts {
    fn add(&mut self, channel: Channel) {
        for (count, known) in self.0.iter_mut().zip(Channel::ALL) {
            *count += u64::from(known == channel);
        }
    }

    pub(crate) fn of(&self, channel: Channel) -> u64 {
        let counts = self.0.iter().zip(Channel::ALL);
        counts
            .filter(|(_, known)| *known == channel)
            .map(|(count, _)| count)
            .sum()
    }
}

/// Which messages of the view are wanted. What is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this channel.
    pub channel: Option<Channel>,
    /// Taken by this provider.
    pub provider: Option<Provider>,
    /// About this PNR.
    pub pnr: Option<Pnr>,
    /// Telling of this event.
    pub event_id: Option<EventId>,
    /// For this recipient, exactly.
    pub recipient: Option<String>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

impl Filter {
    fn takes(&self, message: &Accepted) -> bool {
        self.channel
            .is_none_or(|channel| channel == message.channel)
            && self
                .provider
                .is_none_or(|provider| provider == message.provider)
            && (self.pnr.is_none() || self.pnr == message.pnr)
            && (self.event_id.is_none() || self.event_id == message.event_id)
            && self
                .recipient
                .as_ref()
                .is_none_or(|recipient| *recipient == message.recipient)
    }
}

impl Ledger {
    /// A ledger in memory, or, with a folder, one that begins with what the folder's file holds.
    pub(crate) fn open(folder: Option<&Path>, clock: SharedClock) -> Result<Self, Failure> {
        let mut state = State::default();
        if let Some(folder) = folder {
            state.journal = Some(Journal::open(folder, |entry| state.replay(entry))?);
        }
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
            news: broadcast::Sender::new(NEWS),
            cleared: watch::Sender::new(0),
            clock,
        })
    }

    /// Writes the message down. Only after this may a sender be told that it was accepted.
    pub(crate) fn accept(&self, mut message: Accepted) -> std::io::Result<Arc<Accepted>> {
        let mut state = self.lock();
        message.seq = state.seq + 1;
        message.accepted_at = self.clock.now();
        if let Some(journal) = &mut state.journal {
            journal.append(&Entry::Accepted(&message))?;
        }
        let message = Arc::new(message);
        state.take(Arc::clone(&message));
        // Nobody listening is no failure.
        drop(self.news.send(Arc::clone(&message)));
        Ok(message)
    }

    /// Empties the view. The file keeps every message, and notes the clearing.
    ///
    /// # Errors
    /// If the note cannot be written; then the view stays.
    pub fn clear(&self) -> std::io::Result<()> {
        let mut state = self.lock();
        let entry = Entry::Cleared {
            through: state.seq,
            cleared_at: self.clock.now(),
        };
        if let Some(journal) = &mut state.journal {
            journal.append(&entry)?;
        }
        state.shelf.clear();
        let through = state.seq;
        drop(state);
        self.cleared.send_replace(through);
        Ok(())
    }

    /// The messages of the view that the filter takes, newest first.
    pub fn messages(&self, filter: &Filter) -> Vec<Arc<Accepted>> {
        let state = self.lock();
        let found = state
            .shelf
            .newest_first()
            .filter(|message| filter.takes(message));
        found
            .take(filter.limit.unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    /// Every message accepted from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Accepted>> {
        self.news.subscribe()
    }

    /// Changes whenever the view is emptied.
    pub(crate) fn clearings(&self) -> watch::Receiver<u64> {
        self.cleared.subscribe()
    }

    /// How many messages of the view the filter takes, its limit aside.
    pub(crate) fn count(&self, filter: &Filter) -> usize {
        let state = self.lock();
        state
            .shelf
            .newest_first()
            .filter(|message| filter.takes(message))
            .count()
    }

    /// The first message of the view, from the newest, that the question is true of.
    pub(crate) fn find(&self, is_it: impl Fn(&Accepted) -> bool) -> Option<Arc<Accepted>> {
        let state = self.lock();
        state
            .shelf
            .newest_first()
            .find(|message| is_it(message))
            .cloned()
    }

    /// Every message ever accepted, cleared ones and earlier runs of the same folder included.
    pub(crate) fn ever(&self) -> Counts {
        self.lock().ever
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn replay(&mut self, entry: ReadEntry) {
        match entry {
            Entry::Accepted(message) => self.take(Arc::new(*message)),
            Entry::Cleared { .. } => self.shelf.clear(),
        }
    }

    fn take(&mut self, message: Arc<Accepted>) {
        self.seq = message.seq;
        self.ever.add(message.channel);
        self.shelf.push(message);
    }
}
