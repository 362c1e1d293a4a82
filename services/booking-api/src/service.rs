//! The service from its settings to its end.

use std::net::SocketAddr;
use std::sync::Arc;

use bus::{Consumer, KafkaSettings, Patience, Producer, Topics};
use chassis::metrics::Metrics;
use chassis::{Failure, Readiness, SharedClock, Shutdown, SystemClock, Tasks};
use outbox::{History, Relay};
use tokio::net::TcpListener;
use tracing::info;

use crate::http::{self, Api};
use crate::idempotency::InFlight;
use crate::metrics::{StatusMetrics, TopicMetrics, WriteMetrics};
use crate::pnr::PnrSource;
use crate::projection::Projection;
use crate::settings::Settings;
use crate::store::Store;
use crate::upkeep::{forget_answers, measure_topics, watch_database, watch_kafka};
use crate::writer::{Writer, lanes};

/// What the service takes from outside, beside its settings.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The time.
    pub clock: SharedClock,
    /// New PNRs.
    pub pnrs: PnrSource,
}

/// The machine's clock, random PNRs.
impl Default for Sources {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            pnrs: PnrSource::default(),
        }
    }
}

/// The service, listening, with its database open.
#[derive(Debug)]
pub struct BookingApi {
    listener: TcpListener,
    address: SocketAddr,
    store: Store,
    producer: Producer,
    topics: Topics,
    kafka: KafkaSettings,
    group: String,
    metrics: Metrics,
    sources: Sources,
}

/// Starts the service and runs it until shutdown.
///
/// # Errors
/// Those of [`BookingApi::start`] and [`BookingApi::run`].
pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<(), Failure> {
    let service = BookingApi::start(&settings, Sources::default()).await?;
    service.run(shutdown).await
}

impl BookingApi {
    /// Takes the address, opens the database and brings it up to date. The broker need not be there.
    ///
    /// # Errors
    /// [`Failure::Setting`] for a setting that cannot be used, [`Failure::Unavailable`] if the address is taken or the database does not answer.
    pub async fn start(settings: &Settings, sources: Sources) -> Result<Self, Failure> {
        let producer = Producer::new(&settings.kafka, "booking-api", Patience::Endless)?;
        Consumer::check(&settings.kafka)?;
        let topics = Topics::new(&settings.kafka, "booking-api")?;
        let listener = chassis::http::bind(settings.process.http_addr).await?;
        let address = listener.local_addr();
        let address = address.map_err(Failure::broken("could not tell the address of the port"))?;
        let store = Store::open(&settings.database).await?;
        info!(%address, "booking-api listens");
        Ok(Self {
            listener,
            address,
            store,
            producer,
            topics,
            kafka: settings.kafka.clone(),
            group: settings.consumer_group.clone(),
            metrics: Metrics::default(),
            sources,
        })
    }

    /// Where the service listens.
    pub fn http_address(&self) -> SocketAddr {
        self.address
    }

    /// What it measures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Serves until shutdown: then no new connections, the requests in flight are answered, the queue is written, and the relay publishes what is left.
    ///
    /// # Errors
    /// [`Failure::Broken`] if a part of it fails; the others are then stopped too.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let (metrics, readiness) = (self.metrics, Readiness::default());
        let producer = self.producer.clone();
        let (outbox, relay) = outbox::pair(
            self.store.database().clone(),
            self.producer,
            Arc::clone(&self.sources.clock),
            &metrics,
            ("booking", History::Kept),
        );
        let (lanes, queues) = lanes(self.store.database().dialect());
        let writer = Writer {
            store: self.store.clone(),
            outbox,
            clock: Arc::clone(&self.sources.clock),
            pnrs: self.sources.pnrs,
            metrics: WriteMetrics::register(&metrics),
        };
        let api = Api {
            store: self.store.clone(),
            lanes,
            in_flight: InFlight::default(),
        };
        let router = http::router(api, &metrics, readiness.clone());

        // The router owns the only sender of the lanes: when the server has ended, the writers end after the last command.
        let mut front = Tasks::new(shutdown.clone());
        front.spawn(chassis::http::serve(
            self.listener,
            router,
            shutdown.clone(),
        ));
        for queue in queues {
            front.spawn(writer.clone().run(queue));
        }
        drop(writer);
        front.spawn(watch_kafka(producer, readiness.clone(), shutdown.clone()));
        front.spawn(watch_database(
            self.store.clone(),
            readiness.clone(),
            shutdown.clone(),
        ));
        let topics = Topics::new(&self.kafka, "booking-api")?;
        let topic_metrics = TopicMetrics::register(&metrics);
        let measuring = measure_topics(topics, topic_metrics, readiness.clone(), shutdown.clone());
        front.spawn(measuring);
        let projection = Projection {
            store: self.store.clone(),
            kafka: self.kafka,
            group: self.group,
            metrics: StatusMetrics::register(&metrics),
            readiness,
            shutdown: shutdown.clone(),
        };
        front.spawn(projection.run(self.topics));
        let clock = self.sources.clock;
        front.spawn(forget_answers(self.store.clone(), clock, shutdown.clone()));
        run_parts(front, relay, shutdown).await?;
        self.store.database().close().await;
        Ok(())
    }
}

/// The relay outlives everything that writes events.
async fn run_parts(front: Tasks, relay: Relay, shutdown: Shutdown) -> Result<(), Failure> {
    let last = Shutdown::new();
    let mut parts = Tasks::new(shutdown);
    parts.spawn(relay.run(last.clone()));
    parts.spawn(async move {
        let _then_the_relay = last.drop_guard();
        front.finish().await
    });
    parts.finish().await
}
