//! Networks that are slow, lossy, or forget connections.

use std::time::Duration;

use testkit::{Link, Proxy, System, full_length};

use crate::under_load::UnderLoad;

/// The system with links to Kafka, the providers, and the databases where they have servers.
async fn linked(link: Link) -> (System, Vec<Proxy>) {
    let builder = match link {
        Link::Slow(_) | Link::Lossy(_) | Link::Silent(_) | Link::Good => System::builder(),
        // Answers are lost, and not to be waited for.
        Link::Cut | Link::HalfOpen => System::builder().with("PROVIDER_TIMEOUT", "2s"),
    };
    let mut system = builder.start_without_programs().await.unwrap();
    let mut links = system.link_kafka().await.unwrap();
    links.extend(system.link_providers().await.unwrap());
    for name in System::PROGRAMS {
        links.extend(system.link_database(name).await.unwrap());
    }
    // librdkafka notices a silent broker after a minute by default.
    let properties = system.broker().properties();
    let quick = format!("socket.timeout.ms=4000,{properties}");
    system.set("KAFKA_PROPERTIES", quick);
    for name in System::PROGRAMS {
        system.start_program(name).await.unwrap();
    }
    (system, links)
}

/// What the providers' timeouts and silences leave unknown may be told twice; everything else holds.
async fn through(link: Link, short_seconds: u64) -> crate::under_load::Ended {
    let seconds = if full_length() { 60 } else { short_seconds };
    let (system, links) = linked(link).await;
    let run = UnderLoad::start(system, 20).await;
    run.go_on(Duration::from_secs(2)).await;
    for one in &links {
        one.set(link);
    }
    run.go_on(Duration::from_secs(seconds)).await;
    for one in &links {
        one.set(Link::Good);
    }
    run.go_on(Duration::from_secs(2)).await;
    run.finish(&format!("every link {link:?} for {seconds} s"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_trip_of_200_ms_everywhere_loses_and_doubles_nothing() {
    let ended = through(Link::Slow(Duration::from_millis(100)), 8).await;
    assert!(ended.verdict.is_clean(), "{}", ended.verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_packet_in_twenty_late_everywhere_loses_and_doubles_nothing() {
    let ended = through(Link::Lossy(5), 8).await;
    assert!(ended.verdict.is_clean(), "{}", ended.verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_everywhere_are_made_again_and_nothing_is_lost() {
    let ended = through(Link::Cut, 5).await;
    let verdict = &ended.verdict;
    assert!(verdict.is_clean_but_for_copies(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_fall_silent_everywhere_are_made_again_and_nothing_is_lost() {
    let ended = through(Link::HalfOpen, 5).await;
    let verdict = &ended.verdict;
    assert!(verdict.is_clean_but_for_copies(), "{verdict}");
}
