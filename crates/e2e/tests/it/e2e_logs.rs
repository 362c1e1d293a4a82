//! Logs of a running program, turned up and down.

use testkit::{System, booking_request, eventually};

use crate::client::book;

/// How often the program says that a booking changed, which it does at `info`.
fn changes(system: &System) -> usize {
    let lines = system.program("booking-api").unwrap().log_lines();
    let told = lines
        .iter()
        .filter(|line| line["message"] == "booking changed");
    told.count()
}

async fn turn(system: &System, signal: &str, said: &str) {
    let program = system.program("booking-api").unwrap();
    program.signal(signal).unwrap();
    eventually(said, async || {
        let mut lines = program.log_lines().into_iter();
        lines.any(|line| line["message"] == said).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_turn_the_logs_of_a_running_program_up_and_back() {
    let mut system = System::builder()
        .with("LOG", "warn,chassis=info,booking_api::service=info")
        .start_without_programs()
        .await
        .unwrap();
    system.start_program("booking-api").await.unwrap();
    book(&system, &booking_request(1)).await;
    assert_eq!(changes(&system), 0);

    turn(&system, "USR1", "our own crates log more until SIGUSR2").await;
    book(&system, &booking_request(2)).await;
    assert_eq!(changes(&system), 1);

    turn(&system, "USR2", "logs as LOG has them").await;
    book(&system, &booking_request(3)).await;
    assert_eq!(changes(&system), 1);
}
