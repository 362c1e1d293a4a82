//! Durable bookings by the number of clients: how far commits are shared.

use testkit::System;

use crate::load::{load, number};

pub(crate) async fn measure() {
    println!("\n## Bookings, closed loop, `booking-api` alone\n");
    println!("| clients | bookings/s | p50 ms | p99 ms | resident MiB |\n|---|---|---|---|---|");
    for clients in [1, 16, 64, 256] {
        let mut system = System::builder().start_without_programs().await.unwrap();
        system.start_program("booking-api").await.unwrap();
        let plan = format!("--clients {clients} --warm-up 3s --duration 20s --settle 0s");
        let report = load(&system, &plan).await;
        let millis = report.pointer("/requests/0/millis").unwrap();
        let memory = system.program("booking-api").unwrap().peak_memory_bytes();
        println!(
            "| {clients} | {} | {} | {} | {} |",
            number(&report["bookingsPerSecond"]),
            number(&millis["p50"]),
            number(&millis["p99"]),
            memory.unwrap() >> 20
        );
    }
}
