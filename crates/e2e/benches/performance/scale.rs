//! More processes, more partitions, and a slow provider: what keeps up with what.

use std::time::Instant;

use events::{Channel, EventType};
use sandbox::{Effect, Rule};
use testkit::{Program, System, TestBroker};

use crate::lanes::{Spread, told, write};
use crate::load::{load, number};

const BACKLOG: usize = 10_000;

/// What a provider on another continent takes.
const FAR: Effect = Effect::Delay { ms: 100 };

pub(crate) async fn measure() {
    println!("\n## A backlog of {BACKLOG} messages, a provider that answers at once\n");
    println!("| program | seconds | messages/s | computed, ms for each |\n|---|---|---|---|");
    for (channel, program) in [
        (Channel::Email, "email-notifier"),
        (Channel::Sms, "sms-notifier"),
        (Channel::Whatsapp, "whatsapp-notifier"),
    ] {
        alone(channel, program).await;
    }
    println!(
        "\n## A backlog of {BACKLOG} texts, a provider that takes 100 ms, 64 sends at once in each process\n"
    );
    println!("| partitions | processes | seconds | messages/s |\n|---|---|---|---|");
    for partitions in [3, 6, 12] {
        for processes in [1, 2, 4] {
            backlog(partitions, processes).await;
        }
    }
    println!("\n## Bookings at a fixed rate, every provider takes 100 ms, one process a channel\n");
    println!(
        "| bookings/s | CONCURRENCY | channel | told | p50 ms | p99 ms |\n|---|---|---|---|---|---|"
    );
    for (rate, concurrency) in [(100, 64), (530, 64), (530, 128)] {
        far(rate, concurrency).await;
    }
}

async fn alone(channel: Channel, name: &str) {
    let builder = System::builder().with("RATE_LIMIT", "100000");
    let mut system = builder.start_without_programs().await.unwrap();
    system.start_program(name).await.unwrap();
    write(&system, 200, 200, Spread::ByKey).await;
    told(&system, channel, 200).await;
    let before = system.program(name).unwrap().cpu_time().unwrap();
    let started = Instant::now();
    write(&system, BACKLOG, BACKLOG, Spread::ByKey).await;
    told(&system, channel, 200 + BACKLOG).await;
    let seconds = started.elapsed().as_secs_f64();
    let computed = system.program(name).unwrap().cpu_time().unwrap();
    let count = f64::from(u32::try_from(BACKLOG).unwrap());
    println!(
        "| {name} | {seconds:.1} | {:.0} | {:.2} |",
        count / seconds,
        (computed.as_secs_f64() - before.as_secs_f64()) * 1000.0 / count
    );
}

async fn backlog(partitions: u32, processes: usize) {
    let builder = System::builder().with("RATE_LIMIT", "100000");
    let builder = match TestBroker::start_own().await.unwrap() {
        Some(broker) => {
            if partitions > 3 {
                broker.add_partitions(&EventType::ALL, partitions).unwrap();
            }
            builder.on(broker)
        }
        None => builder,
    };
    let system = builder.start_without_programs().await.unwrap();
    let far = Rule::new(Channel::Sms, FAR);
    system.faults().replace(vec![far]).unwrap();
    let running: Vec<Program> = (0..processes)
        .map(|_| system.spawn("sms-notifier").unwrap())
        .collect();
    for program in &running {
        program.address().await;
    }
    // Every one has its share of the group once all have told something.
    write(&system, 200, 200, Spread::ByKey).await;
    told(&system, Channel::Sms, 200).await;
    let started = Instant::now();
    write(&system, BACKLOG, BACKLOG, Spread::ByKey).await;
    told(&system, Channel::Sms, 200 + BACKLOG).await;
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(BACKLOG).unwrap()) / seconds;
    println!("| {partitions} | {processes} | {seconds:.1} | {rate:.0} |");
}

async fn far(rate: u32, concurrency: u32) {
    let builder = System::builder().with("CONCURRENCY", &concurrency.to_string());
    let system = builder.start().await.unwrap();
    let far = Channel::ALL.map(|channel| Rule::new(channel, FAR));
    system.faults().replace(far.to_vec()).unwrap();
    let plan = format!("--rate {rate} --warm-up 5s --duration 30s --settle 2m");
    let report = load(&system, &plan).await;
    for message in report["messages"].as_array().unwrap() {
        let millis = &message["millis"];
        println!(
            "| {rate} | {concurrency} | {} | {} | {} | {} |",
            message["channel"].as_str().unwrap(),
            millis["count"],
            number(&millis["p50"]),
            number(&millis["p99"])
        );
    }
}
