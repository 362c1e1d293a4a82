//! The busiest minute: 530 bookings a second, and every message of theirs.

use serde_json::Value;
use testkit::System;

use crate::load::{load, number};

/// A weight of 272 beside 1,024; `deploy` gives 256.
const NICE: u8 = 6;

pub(crate) async fn measure() {
    for rate in [100, 250, 530] {
        let system = System::builder().start().await.unwrap();
        bookings_first(&system);
        let plan =
            format!("--rate {rate} --warm-up 5s --duration 60s --pay 40 --cancel 10 --settle 2m");
        let report = load(&system, &plan).await;
        println!("\n## {rate} bookings a second, open loop, all channels\n");
        println!("| what | count | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|");
        for request in report["requests"].as_array().unwrap() {
            row(
                &format!("request: {}", text(&request["eventType"])),
                request,
            );
        }
        for message in report["messages"].as_array().unwrap() {
            let (channel, event) = (&message["channel"], &message["eventType"]);
            row(
                &format!("message: {} {}", text(channel), text(event)),
                message,
            );
            assert_eq!(message["missing"], 0, "{message}");
            assert_eq!(message["again"], 0, "{message}");
        }
        for stage in report["stages"].as_array().unwrap() {
            println!("| stage: {stage} |");
        }
        println!("\n| program | resident MiB at most | computed, s |\n|---|---|---|");
        for name in System::PROGRAMS {
            let program = system.program(name).unwrap();
            let peak = program.peak_memory_bytes().unwrap();
            let computed = program.cpu_time().unwrap().as_secs_f64();
            println!("| {name} | {} | {computed:.1} |", peak >> 20);
        }
    }
}

/// As `deploy` has it: where the processor is short, notifiers have a smaller share.
pub(crate) fn bookings_first(system: &System) {
    for name in ["email-notifier", "sms-notifier", "whatsapp-notifier"] {
        system.program(name).unwrap().renice(NICE).unwrap();
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn row(name: &str, of: &Value) {
    let millis = &of["millis"];
    println!(
        "| {name} | {} | {} | {} | {} |",
        millis["count"],
        number(&millis["p50"]),
        number(&millis["p99"]),
        number(&millis["max"])
    );
}
