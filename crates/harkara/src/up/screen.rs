//! What the person at the terminal sees.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use ::broker::apache::find_tools;
use ::sandbox::{Accepted, Ledger, Sandbox};
use chassis::{Failure, Shutdown};
use events::Channel;
use tokio::sync::broadcast::error::RecvError;

use crate::up::broker::Broker;
use crate::up::programs::Programs;

/// The specification's sample as a request.
const SAMPLE: &str = include_str!("sample-booking.json");

/// The terminal.
pub(crate) struct Screen {
    api: SocketAddr,
    addresses: Vec<(&'static str, String)>,
    in_memory: bool,
    ledger: Ledger,
    since: Instant,
}

/// What was told so far.
#[derive(Default)]
struct Told {
    messages: BTreeMap<Channel, u64>,
    events: BTreeSet<String>,
}

impl Screen {
    pub(crate) fn new(programs: &Programs, broker: &Broker, sandbox: &Sandbox) -> Self {
        let api = programs.api_address();
        let page = format!("http://{}/", sandbox.http_address());
        let mut addresses = vec![
            ("inbox page", page),
            (
                "booking-api",
                format!("http://{api}  (try it: http://{api}/docs)"),
            ),
        ];
        let metrics = |address| format!("http://{address}/metrics");
        addresses.extend(
            programs
                .notifiers()
                .map(|(name, address)| (name, metrics(address))),
        );
        addresses.push((broker.kind, broker.address.clone()));
        addresses.push(("SMTP sandbox", sandbox.smtp_address().to_string()));
        Self {
            api,
            addresses,
            in_memory: broker.is_in_memory(),
            ledger: sandbox.ledger(),
            since: Instant::now(),
        }
    }

    pub(crate) fn show_addresses(&self) {
        for (name, address) in &self.addresses {
            println!("{name:<18} {address}");
        }
        println!("\nBook a ticket:\n");
        println!(
            "curl -s http://{}/api/v1/bookings -H 'content-type: application/json' -d '{}'\n",
            self.api,
            SAMPLE.trim()
        );
        println!("Ctrl-C stops. Messages as they are delivered:");
        if self.in_memory {
            // Java and Maven take a second to answer, which holds nobody up here.
            tokio::task::spawn_blocking(offer_apache);
        }
    }

    /// A line for each message, and at the end what was done.
    pub(crate) fn show_messages(
        self,
        stop: Shutdown,
    ) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let mut news = self.ledger.subscribe();
        let since = self.since;
        async move {
            let mut told = Told::default();
            loop {
                tokio::select! {
                    biased;
                    message = news.recv() => match message {
                        Ok(message) => told.show(&message),
                        Err(RecvError::Lagged(missed)) => println!("… {missed} more"),
                        Err(RecvError::Closed) => break,
                    },
                    () = stop.cancelled() => break,
                }
            }
            told.sum_up(since);
            Ok(())
        }
    }
}

/// Says what Kafka's own tools need, where this machine has it.
fn offer_apache() {
    if let Ok(java) = find_tools() {
        println!(
            "Java {java} and Maven are here: --broker apache starts a real Apache Kafka, which Kafka's own tools can use."
        );
    }
}

impl Told {
    fn show(&mut self, message: &Accepted) {
        *self.messages.entry(message.channel).or_default() += 1;
        self.events
            .extend(message.event_id.as_ref().map(ToString::to_string));
        let time = message
            .accepted_at
            .with_timezone(&events::ist())
            .format("%H:%M:%S%.3f");
        let pnr = message
            .pnr
            .as_ref()
            .map(events::Pnr::masked)
            .unwrap_or_default();
        let kind = message
            .event_type
            .map(events::EventType::as_str)
            .unwrap_or_default();
        println!("{time}  {:<8}  PNR {pnr}  {kind}", message.channel.as_str());
    }

    fn sum_up(&self, since: Instant) {
        let total: u64 = self.messages.values().sum();
        let by_channel: Vec<_> = self
            .messages
            .iter()
            .map(|(channel, count)| format!("{count} {channel}"))
            .collect();
        println!(
            "\nStopped after {:.0?}: {} events told in {total} messages{}{}.",
            since.elapsed(),
            self.events.len(),
            if total > 0 { ": " } else { "" },
            by_channel.join(", "),
        );
    }
}
