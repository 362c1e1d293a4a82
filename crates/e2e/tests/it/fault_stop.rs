//! Programs that are stopped in an orderly way, and one that sleeps.

use std::time::Duration;

use events::Channel;
use sandbox::{Effect, Filter, Rule};
use testkit::{Program, System, full_length};

use crate::under_load::UnderLoad;

/// Sends in flight of a notifier at once.
const CONCURRENCY: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_loses_and_doubles_nothing() {
    let (rounds, rate) = if full_length() { (10, 100) } else { (1, 40) };
    let mut run = UnderLoad::start(System::builder().start().await.unwrap(), rate).await;
    for name in System::PROGRAMS.iter().cycle().take(rounds * 4) {
        run.go_on(Duration::from_secs(1)).await;
        let program = run.system.take_program(name).unwrap();
        let stopped = program.terminate().await.unwrap();
        assert!(stopped.success(), "{name} did not drain in time: {stopped}");
        run.start_again(name).await;
    }
    run.finish_clean(&format!("{rounds} rolling restarts"))
        .await;
}

/// Of the notifier that sleeps: its claims last 20 s longer.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);

async fn sleepers() -> (System, Option<Program>) {
    let mut system = System::builder()
        .with("CONCURRENCY", &CONCURRENCY.to_string())
        .start_without_programs()
        .await
        .unwrap();
    let slow = Rule::new(Channel::Email, Effect::Delay { ms: 200 });
    system.faults().replace(vec![slow]).unwrap();
    for name in ["booking-api", "sms-notifier", "whatsapp-notifier"] {
        system.start_program(name).await.unwrap();
    }
    let timeout = format!("{}s", PROVIDER_TIMEOUT.as_secs());
    system.set("PROVIDER_TIMEOUT", timeout);
    system.start_program("email-notifier").await.unwrap();
    // One that sleeps inside a transaction holds SQLite's only write lock: there a second would sleep with it.
    let server = system.database("email-notifier").unwrap().server();
    let second = server.is_some().then(|| system.spawn("email-notifier"));
    let second = second.transpose().unwrap();
    if let Some(second) = &second {
        second.address().await;
    }
    (system, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_slept_past_its_lease_sends_nothing_without_a_new_claim() {
    let asleep = if full_length() {
        Duration::from_mins(1)
    } else {
        // Past the lease, and as long as the other may need for all of it on a slow machine.
        PROVIDER_TIMEOUT + Duration::from_secs(20 + 15)
    };
    let (system, second) = sleepers().await;
    let run = UnderLoad::start(system, 10).await;
    let newest = |system: &System| {
        let filter = Filter {
            channel: Some(Channel::Email),
            limit: Some(1),
            ..Filter::default()
        };
        let newest = system.ledger().messages(&filter);
        newest.first().map_or(0, |message| message.seq)
    };
    let sleeper = run.system.program("email-notifier").unwrap();
    sleeper.signal("STOP").unwrap();
    run.go_on(asleep).await;
    let woken_after = newest(&run.system);
    sleeper.signal("CONT").unwrap();
    run.go_on(Duration::from_secs(2)).await;
    let ended = run.finish(&format!("asleep {asleep:?}")).await;

    let verdict = &ended.verdict;
    assert!(verdict.is_clean_but_for_copies(), "{verdict}");
    // What was in flight when it fell asleep has an outcome that nobody heard.
    let copies = verdict.extra.iter();
    let copies = copies.filter(|(channel, _)| *channel == Channel::Email);
    assert!(copies.count() <= CONCURRENCY, "{verdict}");
    if second.is_some() {
        let late = late_copies(&ended.system, woken_after);
        assert_eq!(late, 0, "the other had told all of it: {verdict}");
    }
}

/// Mails of the time after this one about events that were told by then.
fn late_copies(system: &System, woken_after: u64) -> usize {
    let filter = Filter {
        channel: Some(Channel::Email),
        ..Filter::default()
    };
    let mails = system.ledger().messages(&filter);
    let (late, early): (Vec<_>, Vec<_>) = mails.iter().partition(|mail| mail.seq > woken_after);
    let copy = |mail: &&_| {
        let mail: &sandbox::Accepted = mail;
        early.iter().any(|old| old.event_id == mail.event_id)
    };
    late.into_iter().filter(|mail| copy(&mail.as_ref())).count()
}
