//! A notifier whose clock jumps.

use std::path::Path;
use std::time::{Duration, Instant};

use events::Channel;
use sandbox::{Effect, Rule};
use testkit::{System, eventually};

use crate::client::{book, request, told, warm_up};
use crate::sessions::count_in_state;

/// Debian's package `faketime`.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// What the provider asks for.
const RETRY_AFTER: Duration = Duration::from_secs(4);

/// A system whose text notifier reads its clock through a file; none where that cannot be.
async fn system(clock: &Path) -> Option<System> {
    if !Path::new(FAKETIME).exists() {
        println!("not run: Debian's package faketime is not installed");
        return None;
    }
    std::fs::write(clock, "+0").unwrap();
    let mut system = System::builder().start_without_programs().await.unwrap();
    for name in ["booking-api", "email-notifier", "whatsapp-notifier"] {
        system.start_program(name).await.unwrap();
    }
    system.set("LD_PRELOAD", FAKETIME);
    system.set("FAKETIME_TIMESTAMP_FILE", clock.to_string_lossy());
    system.set("FAKETIME_NO_CACHE", "1");
    // Only the wall clock jumps.
    system.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    system.start_program("sms-notifier").await.unwrap();
    Some(system)
}

/// The clock jumps while a retry waits: it is made neither before its time nor long after.
async fn jump(to: &str) {
    let folder = tempfile::TempDir::new().unwrap();
    let clock = folder.path().join("clock");
    let Some(system) = system(&clock).await else {
        return;
    };
    warm_up(&system).await;
    let limited = Effect::Status {
        status: 429,
        code: 20429,
        retry_after_seconds: Some(RETRY_AFTER.as_secs()),
    };
    let rule = Rule::new(Channel::Sms, limited).times(1);
    system.faults().replace(vec![rule]).unwrap();
    let before = Instant::now();
    let pnr = book(&system, &request("user@example.com", "9876543210")).await;
    eventually("refusal", async || {
        (system.faults().rules()[0].hits == 1).then_some(())
    })
    .await;
    let waits = async || {
        let count = count_in_state(&system, "sms-notifier", "PENDING").await;
        (count == 1).then_some(())
    };
    eventually("retry that waits", waits).await;
    std::fs::write(&clock, to).unwrap();
    told(&system, Channel::Sms, &pnr, 1).await;
    let waited = before.elapsed();
    assert!(waited >= RETRY_AFTER, "tried again after {waited:?}");
    let next = book(&system, &request("user@example.com", "9876543210")).await;
    told(&system, Channel::Sms, &next, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_makes_no_retry_early() {
    jump("+3600").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_makes_no_retry_late() {
    jump("-3600").await;
}
