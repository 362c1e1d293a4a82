//! The broker of `harkara up`.

use std::net::SocketAddr;

use ::broker::Forwarder;
use ::broker::apache::{Cluster, Options};
use bus::{Consumer, InProcessBroker, KafkaSettings};
use chassis::{Failure, Shutdown, parse_settings_from};
use clap::Parser;

use crate::kafka::start_apache;
use crate::sandbox::local;
use crate::up::settings::unusable;
use crate::up::{BrokerKind, Up};

/// The port Kafka usually has.
const PORT: u16 = 9092;

/// A broker and how to reach it.
#[derive(Debug)]
pub(crate) struct Broker {
    /// How the programs reach it.
    pub(crate) settings: KafkaSettings,
    /// How others do.
    pub(crate) address: String,
    /// What it is, for the table.
    pub(crate) kind: &'static str,
    in_process: Option<InProcessBroker>,
}

#[derive(Parser, Debug)]
struct KafkaProgram {
    #[command(flatten)]
    kafka: KafkaSettings,
}

impl Broker {
    /// `None` if its start was interrupted.
    pub(crate) async fn start(
        up: &Up,
        settings: KafkaSettings,
        shutdown: &Shutdown,
    ) -> Result<Option<Self>, Failure> {
        Ok(Some(match up.broker {
            BrokerKind::Memory if up.kafka.is_some() => Self::outside(settings, "Kafka"),
            BrokerKind::Memory => Self::in_process(up, settings.kafka_partitions).await?,
            BrokerKind::Apache => {
                let cluster = start_apache(&Options::new(&up.data_dir), shutdown).await?;
                return Ok(cluster.map(|cluster| Self::apache(&cluster, settings)));
            }
        }))
    }

    fn apache(cluster: &Cluster, settings: KafkaSettings) -> Self {
        let settings = KafkaSettings {
            kafka_bootstrap_servers: cluster.bootstrap(),
            ..settings
        };
        let broker = Self::outside(settings, "Apache Kafka");
        let tools = cluster.bin_dir();
        let address = format!(
            "{}  (tools in {}; it outlives this: harkara kafka stop)",
            broker.address,
            tools.display()
        );
        Self { address, ..broker }
    }

    /// Whether it is the one that Kafka's own tools cannot use.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.in_process.is_some()
    }

    fn outside(settings: KafkaSettings, kind: &'static str) -> Self {
        Self {
            address: settings.kafka_bootstrap_servers.clone(),
            settings,
            kind,
            in_process: None,
        }
    }

    async fn in_process(up: &Up, partitions: i32) -> Result<Self, Failure> {
        let failed = "could not start the in-process broker";
        let broker = InProcessBroker::start().map_err(Failure::broken(failed))?;
        for topic in events::topics() {
            broker
                .create_topic(&topic, partitions)
                .map_err(Failure::broken(failed))?;
        }
        let address = forward(&broker, local(up.port(PORT))).await?;
        Ok(Self {
            settings: broker.settings(partitions),
            address: address.to_string(),
            kind: "Kafka, in memory",
            in_process: Some(broker),
        })
    }
}

/// The programs' own settings of Kafka, from the environment, on the servers of `--kafka`. Nobody is asked.
pub(crate) fn settings(up: &Up) -> Result<KafkaSettings, Failure> {
    let servers = up.kafka.as_ref();
    let servers = servers.map(|servers| format!("--kafka-bootstrap-servers={servers}"));
    let arguments = ["kafka".to_owned()].into_iter().chain(servers);
    let program: KafkaProgram =
        parse_settings_from(&[], arguments).map_err(|error| unusable(&error))?;
    // The broker in memory takes none of the properties.
    if up.kafka.is_some() || up.broker == BrokerKind::Apache {
        Consumer::check(&program.kafka)?;
    }
    Ok(program.kafka)
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
