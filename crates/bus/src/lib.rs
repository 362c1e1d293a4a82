#![doc = include_str!("../README.md")]

mod client;
mod cluster;
mod consumer;
mod follow;
mod in_process;
mod lag;
mod offsets;
mod plan;
mod poller;
mod positions;
mod producer;
mod record;
mod scan;
mod settings;
mod topics;
mod trouble;
mod watermarks;

pub use client::Properties;
pub use cluster::{Cluster, TopicConfigs};
pub use consumer::{Consumer, ConsumerFailed, Lag, Subscription};
pub use follow::{Begin, Following};
pub use in_process::{IN_PROCESS_PROPERTIES, InProcessBroker, InProcessError, Refusal, Request};
pub use offsets::Offsets;
pub use plan::{Blueprint, Difference, TopicPlan, UnequalPartitions, config, span};
pub use positions::Position;
pub use producer::{ClientError, Patience, Producer, PublishError, Published};
pub use record::{Header, NewRecord, Record};
pub use settings::{Compression, KafkaSettings, TopicSettings, servers};
pub use topics::{TopicError, TopicLayout, Topics};
