//! What the programs do in a second, measured on the real ones, with PostgreSQL and Apache Kafka if the environment names them.
//!
//! `cargo bench -p e2e -- [bookings] [delivery] [history] [lanes] [scale] [stages] [start]`; without a name all of them. The tables are Markdown.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench fails by panicking and tells by printing"
)]

mod bookings;
mod delivery;
mod history;
mod lanes;
mod load;
mod scale;
mod stages;
mod start;

#[tokio::main]
async fn main() {
    let wanted: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    if wants("start") {
        start::measure().await;
    }
    if wants("bookings") {
        bookings::measure().await;
    }
    if wants("delivery") {
        delivery::measure().await;
    }
    if wants("stages") {
        stages::measure().await;
    }
    if wants("lanes") {
        lanes::measure().await;
    }
    if wants("scale") {
        scale::measure().await;
    }
    if wants("history") {
        history::measure().await;
    }
}
