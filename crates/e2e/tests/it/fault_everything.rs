//! Everything at once: kills of every program, brokers restarted in turn, an outage of every provider, under load.

use std::time::Duration;

use testkit::{System, full_length};

use crate::fault_outage::everywhere;
use crate::under_load::UnderLoad;

/// Sends in flight of a notifier at once: what a kill can double at most.
const CONCURRENCY: usize = 8;

/// An answer that is later is taken for none and its message sent again, which no kill did; what was in flight at a kill is told 20 s after it.
const PROVIDER_TIMEOUT: &str = "20s";

const NOTIFIERS: [&str; 3] = ["email-notifier", "sms-notifier", "whatsapp-notifier"];

/// One kill of a notifier and one of the API, and where there are three brokers, one of them restarted now and then.
async fn round(run: &mut UnderLoad, number: usize, pause: Duration) {
    run.kill(NOTIFIERS[number % NOTIFIERS.len()]).await;
    run.go_on(pause).await;
    run.kill("booking-api").await;
    run.go_on(pause).await;
    let brokers = run.system.broker().size();
    if brokers > 1 && number.is_multiple_of(5) {
        let broker = u8::try_from(number / 5 % usize::from(brokers)).unwrap() + 1;
        run.system.broker().stop_one(broker).await.unwrap();
        run.go_on(pause).await;
        run.system.broker().start_one(broker).await.unwrap();
    }
}

/// At full length: 50 kills of notifiers and 50 of the API, ten minutes of outage, more than 100,000 bookings.
#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once_loses_nothing_and_doubles_at_most_what_was_in_flight() {
    let (rounds, rate, pause) = if full_length() {
        (50, 150, Duration::from_secs(7))
    } else {
        (3, 30, Duration::from_secs(1))
    };
    let system = System::builder()
        .with("CONCURRENCY", &CONCURRENCY.to_string())
        .with("PROVIDER_TIMEOUT", PROVIDER_TIMEOUT)
        .start()
        .await
        .unwrap();
    let mut run = UnderLoad::start(system, rate).await;
    for number in 0..rounds {
        if number == 1 {
            let outage = everywhere(503, 20500, "451 4.3.0 not now");
            run.system.faults().replace(outage).unwrap();
        }
        round(&mut run, number, pause).await;
        // Forty-two rounds of fourteen seconds and more.
        if number == rounds.min(43) - 1 {
            run.system.faults().replace(Vec::new()).unwrap();
        }
    }
    let ended = run.finish("everything at once").await;
    let verdict = &ended.verdict;
    assert!(verdict.is_clean_but_for_copies(), "{verdict}");
    assert!(verdict.gave_up_nothing(), "{verdict}");
    let most = rounds * CONCURRENCY;
    assert!(verdict.extra.len() <= most, "{verdict}, at most {most}");
}
