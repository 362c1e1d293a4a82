#![doc = include_str!("../README.md")]
#![expect(
    clippy::print_stdout,
    reason = "an operator's command answers on standard output"
)]

mod databases;
mod dlq;
mod doctor;
mod kafka;
mod load;
mod pnr;
mod privacy;
mod sandbox;
mod topics;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Books, publishes and tells: the operator's command.
#[derive(Parser, Debug)]
#[command(name = "harkara", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs the whole system in one process: broker, databases, booking-api, the three notifiers, the provider sandbox.
    Up(up::Up),
    /// Runs a real Apache Kafka on this machine, without containers.
    Kafka(kafka::Kafka),
    /// Makes topics that are missing, and says how those that exist differ from what they should be.
    Topics(topics::TopicsCommand),
    /// Lists, shows, replays and discards dead letters.
    Dlq(dlq::Dlq),
    /// Books at a rate, and says how long everything took.
    Load(Box<load::Load>),
    /// Checks broker, topics, databases, providers and clock, and says what is wrong and how to mend it.
    Doctor(doctor::Doctor),
    /// Runs the provider sandbox alone.
    Sandbox(sandbox::SandboxCommand),
}

fn main() -> ExitCode {
    match chassis::parse_settings::<Cli>(&[]) {
        Ok(Cli { command }) => match command {
            Command::Up(up) => up.run(),
            Command::Kafka(kafka) => kafka.run(),
            Command::Topics(topics) => topics.run(),
            Command::Dlq(dlq) => dlq.run(),
            Command::Load(load) => load.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Sandbox(sandbox) => sandbox.run(),
        },
        Err(code) => code,
    }
}
