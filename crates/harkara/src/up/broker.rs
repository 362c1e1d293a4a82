//! The broker of `harkara up`.

use std::net::SocketAddr;

use ::broker::Forwarder;
use ::broker::apache::Options;
use bus::{InProcessBroker, KafkaSettings};
use chassis::{Failure, Shutdown};

use crate::kafka::start_apache;
use crate::sandbox::local;
use crate::up::{BrokerKind, Up};

/// The port Kafka usually has.
const PORT: u16 = 9092;

/// Partitions of each topic.
const PARTITIONS: i32 = 3;

/// A broker and how to reach it.
#[derive(Debug)]
pub(crate) struct Broker {
    /// How the programs reach it.
    pub(crate) settings: KafkaSettings,
    /// How others do.
    pub(crate) address: String,
    /// What it is, for the table.
    pub(crate) kind: &'static str,
    _in_process: Option<InProcessBroker>,
}

impl Broker {
    pub(crate) async fn start(up: &Up) -> Result<Self, Failure> {
        match (&up.kafka, up.broker) {
            (Some(address), _) => Ok(Self::outside(address.clone(), "Kafka")),
            (None, BrokerKind::Apache) => {
                let cluster = start_apache(&Options::new(&up.data_dir)).await?;
                let broker = Self::outside(cluster.bootstrap(), "Apache Kafka");
                let tools = cluster.bin_dir();
                let address = format!(
                    "{}  (tools in {}; it outlives this: harkara kafka stop)",
                    broker.address,
                    tools.display()
                );
                Ok(Self { address, ..broker })
            }
            (None, BrokerKind::Memory) => Self::in_process(up).await,
        }
    }

    fn outside(address: String, kind: &'static str) -> Self {
        Self {
            settings: KafkaSettings::local(address.clone()),
            address,
            kind,
            _in_process: None,
        }
    }

    async fn in_process(up: &Up) -> Result<Self, Failure> {
        let failed = "could not start the in-process broker";
        let broker = InProcessBroker::start().map_err(Failure::broken(failed))?;
        for topic in events::topics() {
            broker
                .create_topic(&topic, PARTITIONS)
                .map_err(Failure::broken(failed))?;
        }
        let address = forward(&broker, local(up.port(PORT))).await?;
        Ok(Self {
            settings: broker.settings(PARTITIONS),
            address: address.to_string(),
            kind: "Kafka, in memory",
            _in_process: Some(broker),
        })
    }
}

/// The in-process broker has a port of its own choice; this one is where clients look.
async fn forward(broker: &InProcessBroker, listen: SocketAddr) -> Result<SocketAddr, Failure> {
    let failed = "could not forward to the in-process broker";
    let target = broker
        .bootstrap_servers()
        .parse()
        .map_err(Failure::broken(failed))?;
    let forwarder =
        Forwarder::start(listen, target)
            .await
            .map_err(|error| Failure::Unavailable {
                what: "port",
                problem: format!("could not listen on {listen}: {error}"),
            })?;
    let address = forwarder.address();
    tokio::spawn(forwarder.run(Shutdown::new()));
    Ok(address)
}
