//! kill -9 of each program, under load.

use std::time::Duration;

use events::Channel;
use sandbox::{Effect, Rule};
use testkit::{System, Verdict, full_length};

use crate::under_load::UnderLoad;

/// Sends in flight of a notifier at once: what a kill can double at most.
const CONCURRENCY: usize = 8;

/// Between two kills.
const PAUSE: Duration = Duration::from_millis(700);

/// An answer that is later is taken for none and its message sent again, which no kill did; what was in flight at a kill is told 20 s after it.
const PROVIDER_TIMEOUT: &str = "20s";

const NOTIFIERS: [&str; 3] = ["email-notifier", "sms-notifier", "whatsapp-notifier"];

async fn system() -> System {
    let system = System::builder()
        .with("CONCURRENCY", &CONCURRENCY.to_string())
        .with("PROVIDER_TIMEOUT", PROVIDER_TIMEOUT)
        .start()
        .await
        .unwrap();
    // A provider that takes its time is in the middle of a send when the kill comes.
    let slow = |channel| Rule::new(channel, Effect::Delay { ms: 50 });
    system
        .faults()
        .replace(Channel::ALL.map(slow).to_vec())
        .unwrap();
    system
}

/// Kills these programs in turn, so many times together.
async fn kill_in_turn(names: &[&str], kills: usize, rate: u32) -> Verdict {
    let mut run = UnderLoad::start(system().await, rate).await;
    for name in names.iter().cycle().take(kills) {
        run.go_on(PAUSE).await;
        run.kill(name).await;
    }
    let ended = run.finish(&format!("{kills} kills of {names:?}")).await;
    let verdict = ended.verdict;
    assert!(verdict.gave_up_nothing(), "{verdict}");
    verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_a_notifier_loses_nothing_and_doubles_at_most_what_was_in_flight() {
    let (kills, rate) = if full_length() { (51, 100) } else { (3, 30) };
    let verdict = kill_in_turn(&NOTIFIERS, kills, rate).await;
    assert!(verdict.is_clean_but_for_copies(), "{verdict}");
    let most = kills * CONCURRENCY;
    assert!(
        verdict.extra.len() <= most,
        "{verdict}, at most {most} were in flight"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_api_between_commit_and_publication_loses_and_doubles_nothing() {
    let (kills, rate) = if full_length() { (50, 100) } else { (4, 40) };
    let verdict = kill_in_turn(&["booking-api"], kills, rate).await;
    assert!(verdict.is_clean(), "{verdict}");
}
