#![doc = include_str!("../README.md")]

mod client;
mod consumer;
mod in_process;
mod offsets;
mod poller;
mod positions;
mod producer;
mod record;
mod scan;
mod settings;
mod topics;

pub use client::Properties;
pub use consumer::{Consumer, ConsumerFailed, Lag, Subscription};
pub use in_process::{IN_PROCESS_PROPERTIES, InProcessBroker, InProcessError, Refusal, Request};
pub use offsets::Offsets;
pub use positions::Position;
pub use producer::{ClientError, Patience, Producer, PublishError, Published};
pub use record::{NewRecord, Record};
pub use settings::{KafkaSettings, servers};
pub use topics::{TopicError, TopicLayout, TopicPlan, Topics};
