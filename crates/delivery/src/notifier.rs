//! A notifier: settings, wiring, run, drain.

mod housekeeping;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use bus::{Consumer, Patience, Producer, Subscription, TopicPlan, Topics, UnequalPartitions};
use chassis::metrics::Metrics;
use chassis::{Failure, Readiness, SharedClock, Shutdown, SteadyClock, SystemClock, Tasks, http};
use database::{Database, Dialect, Schema};
use events::{EventType, NOTIFICATION_STATUS};
use inbox::{Inbox, Rules};
use outbox::{History, Outbox};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tracing::info;

use self::housekeeping::{clean, keep_house};
use crate::backoff::Backoff;
use crate::channel::Channel;
use crate::dead_letters::DeadLetters;
use crate::dispatcher::{Dispatcher, LEASE_MARGIN, Workload};
use crate::gates::Gates;
use crate::intake::Intake;
use crate::metrics::NotifierMetrics;
use crate::recorder::Recorder;
use crate::settings::NotifierSettings;
use crate::statuses::Statuses;
use crate::worker::Worker;

/// Connections to the database: intake, dispatcher, recorder, relay, marker and housekeeping, with one to spare.
const CONNECTIONS: u32 = 7;

/// The tables of a notifier.
pub const SCHEMAS: [Schema; 2] = [inbox::SCHEMA, outbox::SCHEMA];

/// A notifier that is ready to run: its port is taken and its database open.
#[derive(Debug)]
pub struct Notifier<C> {
    channel: C,
    settings: NotifierSettings,
    clock: SharedClock,
    listener: TcpListener,
    address: SocketAddr,
    database: Database,
    producer: Producer,
    metrics: Metrics,
}

/// What the parts of a running notifier share.
#[derive(Clone)]
struct Parts {
    database: Database,
    inbox: Inbox,
    outbox: Outbox,
    statuses: Statuses,
    gates: Gates,
    clock: SharedClock,
    metrics: NotifierMetrics,
    readiness: Readiness,
    workload: Arc<Workload>,
}

impl<C: Channel> Notifier<C> {
    /// Makes sure of the settings, opens the database and takes the port.
    ///
    /// # Errors
    /// [`Failure`] if either cannot be done.
    pub async fn start(channel: C, settings: NotifierSettings) -> Result<Self, Failure> {
        settings.delivery.check(&channel)?;
        let client_id = format!("{}-notifier", channel.channel());
        let producer = Producer::new(&settings.kafka, &client_id, Patience::Endless)?;
        Consumer::check(&settings.kafka)?;
        let database = Database::open(&settings.database, CONNECTIONS, &SCHEMAS).await?;
        let listener = http::bind(settings.process.http_addr).await?;
        let address = listener
            .local_addr()
            .map_err(Failure::broken("the port has no address"))?;
        let (clock, metrics) = (Arc::new(SystemClock), Metrics::default());
        Ok(Self {
            channel,
            settings,
            clock,
            listener,
            address,
            database,
            producer,
            metrics,
        })
    }

    /// Where liveness, readiness and metrics are.
    pub fn http_address(&self) -> SocketAddr {
        self.address
    }

    /// What it measures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Consumes and sends until shutdown; then takes nothing more, finishes what is in flight and leaves.
    ///
    /// # Errors
    /// [`Failure`] if a part cannot go on.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let Self {
            channel,
            settings,
            clock,
            listener,
            address,
            database,
            producer,
            metrics,
        } = self;
        let readiness = Readiness::default();
        readiness.set("kafka", Err("not joined yet".to_owned()));
        let (outbox, relay) = outbox::pair(
            database.clone(),
            producer,
            Arc::clone(&clock),
            &metrics,
            ("notifier", History::Dropped),
        );
        let own = NotifierMetrics::register(&metrics);
        let delivery = &settings.delivery;
        let rules = Rules {
            order_wait: delivery.order_wait,
            max_age: delivery.max_age,
        };
        let parts = Parts {
            database: database.clone(),
            inbox: inbox(
                &database,
                Inbox::new(database.clone(), rules, channel.providers()),
                &clock,
            ),
            outbox,
            statuses: Statuses {
                channel: channel.channel(),
                clock: Arc::clone(&clock),
            },
            gates: Gates::new(&channel, delivery, &own),
            clock,
            metrics: own,
            readiness: readiness.clone(),
            workload: Arc::default(),
        };
        info!(channel = %channel.channel(), providers = ?channel.providers(), %address, "notifier started");
        let mut tasks = Tasks::new(shutdown.clone());
        let router = http::router(&metrics, readiness, Router::new());
        tasks.spawn(http::serve(listener, router, shutdown.clone()));
        tasks.spawn(keep_house(parts.clone(), shutdown.clone()));
        let retention = settings.delivery.inbox_retention;
        tasks.spawn(clean(parts.inbox.clone(), retention, shutdown.clone()));
        // The last outcomes are told, too.
        let recorded = Shutdown::new();
        tasks.spawn(relay.run(recorded.clone()));
        parts.spawn_work(&mut tasks, channel, settings, (&shutdown, recorded))?;
        let outcome = tasks.finish().await;
        database.close().await;
        info!("notifier stopped");
        outcome
    }
}

impl Parts {
    fn spawn_work<C: Channel>(
        self,
        tasks: &mut Tasks,
        channel: C,
        settings: NotifierSettings,
        (shutdown, told): (&Shutdown, Shutdown),
    ) -> Result<(), Failure> {
        let kind = channel.channel();
        let delivery = &settings.delivery;
        let group = delivery.consumer_group.clone();
        let dead_letters = DeadLetters::new(&settings.kafka, kind, group, self.metrics.clone())?;
        let slots = Arc::new(Semaphore::new(usize::from(delivery.concurrency)));
        let (done, outcomes) = mpsc::channel(usize::from(delivery.concurrency));
        let worker = Worker {
            channel,
            dead_letters: dead_letters.clone(),
            statuses: self.statuses.clone(),
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            backoff: Backoff {
                base: delivery.retry_base,
                cap: delivery.retry_cap,
            },
            max_attempts: delivery.max_attempts,
            provider_timeout: delivery.provider_timeout,
            on_ambiguous: delivery.on_ambiguous,
        };
        let dispatcher = Arc::new(Dispatcher {
            inbox: self.inbox.clone(),
            worker: Arc::new(worker),
            gates: self.gates.clone(),
            slots,
            concurrency: usize::from(delivery.concurrency),
            workload: Arc::clone(&self.workload),
            done,
            lease: delivery.provider_timeout + LEASE_MARGIN,
            shutdown: shutdown.clone(),
        });
        let recorder = Recorder {
            database: self.database.clone(),
            inbox: self.inbox.clone(),
            outbox: self.outbox.clone(),
            workload: Arc::clone(&self.workload),
            dispatcher: Arc::downgrade(&dispatcher),
        };
        tasks.spawn(Arc::clone(&dispatcher).run());
        tasks.spawn(async move {
            let outcome = recorder.run(outcomes).await;
            told.cancel();
            outcome
        });
        tasks.spawn(self.take_in(settings, dead_letters, dispatcher, shutdown.clone()));
        Ok(())
    }

    /// Joins the group once its topics are there, and are such that the events of a PNR lie in same-numbered partitions.
    async fn take_in<C: Channel>(
        self,
        settings: NotifierSettings,
        dead_letters: DeadLetters,
        dispatcher: Arc<Dispatcher<C>>,
        shutdown: Shutdown,
    ) -> Result<(), Failure> {
        let channel = self.statuses.channel;
        let client_id = format!("{channel}-notifier");
        let topics = Topics::new(&settings.kafka, &client_id)?;
        let events = &settings.delivery.topics;
        let Some(known) = topics.ensure_until(&sources(events), &shutdown).await else {
            return Ok(());
        };
        UnequalPartitions::check(&EventType::ALL.map(EventType::topic), &known)?;
        // The topics of dead letters and replays are laid out like their sources, which must be there first.
        let own = own_topics(channel, events);
        if topics.ensure_until(&own, &shutdown).await.is_none() {
            return Ok(());
        }
        drop(topics);
        let group = settings.delivery.consumer_group;
        let subscription = Subscription {
            client_id,
            group: group.clone(),
            topics: read_topics(channel, events),
        };
        let intake = Intake {
            channel,
            told: events.clone(),
            group,
            consumer: Consumer::start(&settings.kafka, subscription)?,
            database: self.database,
            inbox: self.inbox,
            outbox: self.outbox,
            statuses: self.statuses,
            gates: self.gates,
            dead_letters: dead_letters.clone(),
            clock: self.clock,
            metrics: self.metrics,
            readiness: self.readiness,
            workload: self.workload,
            dispatcher,
            limit: settings.delivery.inbox_limit,
            retention: settings.delivery.inbox_retention,
        };
        intake.run(shutdown).await?;
        dead_letters.flush().await;
        Ok(())
    }
}

/// On a server, times are told by its clock. An embedded database has this machine's, which somebody may set: there they are told by one that nobody can.
fn inbox(database: &Database, inbox: Inbox, clock: &SharedClock) -> Inbox {
    match database.dialect() {
        Dialect::Postgres => inbox,
        Dialect::Sqlite => inbox.with_clock(Arc::new(SteadyClock::new(clock.as_ref()))),
    }
}

fn sources(events: &[EventType]) -> Vec<TopicPlan> {
    let statuses = TopicPlan::new(NOTIFICATION_STATUS);
    let all = EventType::ALL.map(EventType::topic);
    let plan = |event: &EventType| TopicPlan::new(event.topic()).like(&all);
    let events = events.iter().map(plan);
    events.chain([statuses]).collect()
}

fn own_topics(channel: events::Channel, events: &[EventType]) -> Vec<TopicPlan> {
    let plans = |event: &EventType| {
        let source = event.topic();
        [
            channel.dead_letter_topic(source),
            channel.replay_topic(source),
        ]
        .map(|topic| TopicPlan::dead_letters(topic, source))
    };
    events.iter().flat_map(plans).collect()
}

fn read_topics(channel: events::Channel, events: &[EventType]) -> Vec<String> {
    let read = |event: &EventType| {
        [
            event.topic().to_owned(),
            channel.replay_topic(event.topic()),
        ]
    };
    events.iter().flat_map(read).collect()
}
