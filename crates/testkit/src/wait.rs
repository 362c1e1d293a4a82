//! Waiting for something to become true, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for what should take a moment.
const LIMIT: Duration = Duration::from_mins(1);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `probe` gives a value.
///
/// # Panics
/// After a minute, naming what was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    probe: impl FnMut() -> F,
) -> T {
    eventually_within(LIMIT, what, probe).await
}

/// Waits until `probe` gives a value, at most `limit`.
///
/// # Panics
/// After that, naming what was waited for.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < deadline, "after {limit:?} still no {what}");
        sleep(LOOK).await;
    }
}
