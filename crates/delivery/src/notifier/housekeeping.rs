//! What a notifier does now and then, beside its messages.

use std::time::{Duration, Instant};

use chassis::{Failure, Shutdown};
use inbox::Inbox;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::Parts;

/// How often abandoned claims are looked for, and how often at most the inbox is measured.
const TICK: Duration = Duration::from_secs(1);

/// Of the time, measuring takes one part in so many, while that is less than a minute: it reads every unfinished row, which takes a second where there are a million.
const MEASURED: u32 = 100;

/// How old a measure may become, however long the database takes.
const LONGEST_UNMEASURED: Duration = Duration::from_mins(1);

/// How often old rows are looked for.
const CLEANING: Duration = Duration::from_mins(1);

/// So many of them are deleted at once, with a rest in between: whoever claims meanwhile does not notice.
const CLEANED_AT_ONCE: u16 = 500;
const REST: Duration = Duration::from_millis(50);

/// Frees claims of workers that died, measures the inbox, looks whether the database and the providers are there.
pub(super) async fn keep_house(parts: Parts, shutdown: Shutdown) -> Result<(), Failure> {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut measure_at = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        let mut state = parts.recover().await;
        let begun = Instant::now();
        if state.is_ok() && measure_at <= begun {
            state = parts.measure().await;
            let rest = (begun.elapsed() * MEASURED).min(LONGEST_UNMEASURED);
            measure_at = Instant::now() + rest;
        }
        if let Err(error) = &state {
            warn!(error = %error, "could not keep the inbox");
        }
        let ping = parts
            .database
            .ping()
            .await
            .map_err(|error| format!("no answer: {error}"));
        parts.readiness.set("database", ping);
        for gate in parts.gates.iter() {
            let state = gate.look(Instant::now());
            parts.readiness.set_optional(gate.provider(), state);
        }
    }
}

/// Deletes what was finished long ago.
pub(super) async fn clean(
    inbox: Inbox,
    retention: Duration,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let mut wait = CLEANING;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = match inbox.forget(retention, CLEANED_AT_ONCE).await {
            Ok(0) => CLEANING,
            Ok(_) => REST,
            Err(error) => {
                warn!(error = %error, "could not delete old messages");
                CLEANING
            }
        };
    }
}

impl Parts {
    async fn recover(&self) -> Result<(), database::Error> {
        // Outcomes that wait for the database go first, or their messages would be sent again.
        let freed = if self.workload.is_stuck() {
            0
        } else {
            self.inbox.recover().await?
        };
        if freed > 0 {
            warn!(
                messages = freed,
                "claims ran out: nobody knows whether their messages arrived"
            );
            self.workload.look_again();
        }
        Ok(())
    }

    async fn measure(&self) -> Result<(), database::Error> {
        let (count, oldest) = self.inbox.unfinished().await?;
        self.workload.recount(count);
        self.metrics.pending.set(count);
        self.metrics.oldest_seconds.set(oldest.as_secs_f64());
        Ok(())
    }
}
