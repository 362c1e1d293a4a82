//! The last answers of a closed circuit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back answers are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Answers are counted by the second, so the window is nine to ten seconds long and its memory does not grow with the traffic.
const SLICE: Duration = Duration::from_secs(1);

/// Of fewer answers it says nothing that half of them failed.
const ENOUGH: u32 = 20;

#[derive(Debug, Default)]
pub(super) struct Recent {
    in_a_row: u32,
    slices: VecDeque<Slice>,
}

#[derive(Debug)]
struct Slice {
    begun: Instant,
    answers: u32,
    failed: u32,
}

impl Recent {
    pub(super) fn healthy(&mut self, now: Instant) {
        self.in_a_row = 0;
        self.count(now, 0);
    }

    /// What opens the circuit, if this failure does.
    pub(super) fn failed(&mut self, now: Instant, limit: u32) -> Option<String> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.count(now, 1);
        if self.in_a_row >= limit {
            return Some(format!("{} failures in a row", self.in_a_row));
        }
        let answers: u32 = self.slices.iter().map(|slice| slice.answers).sum();
        let failed: u32 = self.slices.iter().map(|slice| slice.failed).sum();
        let opens = answers >= ENOUGH && failed >= answers - failed;
        opens.then(|| format!("{failed} of {answers} answers failed"))
    }

    fn count(&mut self, now: Instant, failed: u32) {
        let age = |slice: &Slice| now.saturating_duration_since(slice.begun);
        while self
            .slices
            .front()
            .is_some_and(|slice| age(slice) >= WINDOW)
        {
            self.slices.pop_front();
        }
        match self.slices.back_mut().filter(|slice| age(slice) < SLICE) {
            Some(slice) => {
                slice.answers += 1;
                slice.failed += failed;
            }
            None => self.slices.push_back(Slice {
                begun: now,
                answers: 1,
                failed,
            }),
        }
    }
}
