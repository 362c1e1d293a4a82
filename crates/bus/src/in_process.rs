//! librdkafka's own broker: the real client path with nothing to install.
//!
//! It lives in memory, keeps about 5 MB a partition, has no `CreateTopics`, and does not wake an idle fetch when a record arrives: clients need a short `fetch.wait.max.ms`.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::KafkaSettings;

/// `KAFKA_PROPERTIES` for clients of this broker: fetches short enough for it, and sessions too, for its groups wait a session's time for a member that left.
pub const IN_PROCESS_PROPERTIES: &str =
    "fetch.wait.max.ms=10,session.timeout.ms=3000,heartbeat.interval.ms=500";

type Reply = Sender<Result<(), KafkaError>>;

enum Order {
    CreateTopic(String, i32, Reply),
    GoDown(Reply),
    ComeUp(Reply),
    Refuse(Request, Vec<Refusal>, Reply),
}

/// What the broker can be told to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A consumer's commit.
    OffsetCommit,
    /// A producer's records.
    Produce,
}

/// An answer that is a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The group is rebalancing.
    RebalanceInProgress,
    /// The member's generation is over.
    IllegalGeneration,
    /// The group does not know the member.
    UnknownMember,
    /// The coordinator is reading its log.
    CoordinatorLoading,
    /// The brokers did not replicate it in time.
    TimedOut,
    /// Too few replicas are in sync.
    NotEnoughReplicas,
    /// The producer's sequence has a gap, which ends an idempotent producer for good.
    OutOfOrderSequence,
    /// The connection is closed in place of an answer.
    Disconnect,
    /// The client may not write to the topic.
    NotAuthorised,
    /// The record is larger than the topic takes.
    TooLarge,
}

impl Request {
    const fn api_key(self) -> RDKafkaApiKey {
        match self {
            Self::OffsetCommit => RDKafkaApiKey::OffsetCommit,
            Self::Produce => RDKafkaApiKey::Produce,
        }
    }
}

impl Refusal {
    const fn code(self) -> RDKafkaRespErr {
        match self {
            Self::RebalanceInProgress => RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
            Self::IllegalGeneration => RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            Self::UnknownMember => RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
            Self::CoordinatorLoading => {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS
            }
            Self::TimedOut => RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            Self::NotEnoughReplicas => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Self::OutOfOrderSequence => {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER
            }
            Self::Disconnect => RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
            Self::NotAuthorised => RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Self::TooLarge => RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        }
    }
}

/// A broker in this process. It ends when dropped.
#[derive(Debug)]
pub struct InProcessBroker {
    orders: Option<Sender<Order>>,
    bootstrap: String,
    host: Option<JoinHandle<()>>,
}

/// The in-process broker did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[error("the in-process broker failed")]
pub enum InProcessError {
    /// librdkafka says no.
    Refused(#[from] KafkaError),
    /// Its thread is gone.
    Gone,
}

impl InProcessBroker {
    /// Starts a broker on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`InProcessError::Refused`] if librdkafka cannot start it.
    pub fn start() -> Result<Self, InProcessError> {
        let (orders, inbox) = channel();
        let (ready, started) = channel();
        // The cluster's handle cannot leave its thread.
        let host = std::thread::spawn(move || match MockCluster::new(1) {
            Ok(cluster) => {
                if ready.send(Ok(cluster.bootstrap_servers())).is_ok() {
                    obey(&cluster, &inbox);
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        });
        let bootstrap = started.recv().map_err(|_gone| InProcessError::Gone)??;
        Ok(Self {
            orders: Some(orders),
            bootstrap,
            host: Some(host),
        })
    }

    /// `127.0.0.1:port`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap
    }

    /// Settings of clients on this broker.
    pub fn settings(&self, partitions: i32) -> KafkaSettings {
        let properties = IN_PROCESS_PROPERTIES.parse().unwrap_or_default();
        KafkaSettings {
            kafka_properties: properties,
            kafka_partitions: partitions,
            ..KafkaSettings::local(self.bootstrap.clone())
        }
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// [`InProcessError`].
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), InProcessError> {
        self.order(|reply| Order::CreateTopic(name.to_owned(), partitions, reply))
    }

    /// Takes the broker off the network; it keeps what it holds.
    ///
    /// # Errors
    /// [`InProcessError`].
    pub fn go_down(&self) -> Result<(), InProcessError> {
        self.order(Order::GoDown)
    }

    /// Brings it back.
    ///
    /// # Errors
    /// [`InProcessError`].
    pub fn come_up(&self) -> Result<(), InProcessError> {
        self.order(Order::ComeUp)
    }

    /// Answers the next requests of this kind with these refusals, one each.
    ///
    /// # Errors
    /// [`InProcessError::Gone`].
    pub fn refuse(&self, request: Request, refusals: &[Refusal]) -> Result<(), InProcessError> {
        self.order(|reply| Order::Refuse(request, refusals.to_vec(), reply))
    }

    fn order(&self, order: impl FnOnce(Reply) -> Order) -> Result<(), InProcessError> {
        let (reply, answer) = channel();
        let orders = self.orders.as_ref().ok_or(InProcessError::Gone)?;
        orders
            .send(order(reply))
            .map_err(|_gone| InProcessError::Gone)?;
        answer.recv().map_err(|_gone| InProcessError::Gone)??;
        Ok(())
    }
}

impl Drop for InProcessBroker {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(host) = self.host.take() {
            let _a_panic_there_ends_the_broker_as_well = host.join();
        }
    }
}

fn obey<C: rdkafka::ClientContext>(cluster: &MockCluster<'_, C>, inbox: &Receiver<Order>) {
    for order in inbox {
        let (outcome, reply) = match order {
            Order::CreateTopic(name, partitions, reply) => {
                (cluster.create_topic(&name, partitions, 1), reply)
            }
            Order::ComeUp(reply) => (cluster.broker_up(1), reply),
            Order::GoDown(reply) => (cluster.broker_down(1), reply),
            Order::Refuse(request, refusals, reply) => {
                let codes: Vec<_> = refusals.into_iter().map(Refusal::code).collect();
                cluster.request_errors(request.api_key(), &codes);
                (Ok(()), reply)
            }
        };
        drop(reply.send(outcome));
    }
}
