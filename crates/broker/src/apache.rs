//! A real Apache Kafka in `KRaft` mode as child processes, without containers.
//!
//! A caller says how to find out whether a broker answers, because this crate speaks no Kafka:
//!
//! ```no_run
//! use broker::apache::{self, Options};
//!
//! # async fn answers_metadata(_address: String, _brokers: u8) -> bool { true }
//! # async fn example() -> Result<(), apache::BrokerError> {
//! let options = Options::new("./data");
//! let brokers = options.size.brokers();
//! let cluster = apache::start(&options, |address| answers_metadata(address, brokers)).await?;
//! assert_eq!(cluster.bootstrap(), "127.0.0.1:9092");
//! apache::stop(&options).await?;
//! # Ok(())
//! # }
//! ```

mod cluster;
mod error;
mod files;
mod identity;
mod jars;
mod java;
mod layout;
mod options;
mod process;
mod properties;
mod scripts;
mod startup;
mod tools;

pub use cluster::{
    Cluster, OwnedCluster, kill_broker, start, start_broker, start_unless, status, stop,
    stop_broker,
};
pub use error::BrokerError;
pub use options::{ClusterSize, InvalidClusterSize, Options, bootstrap};
pub use process::{BrokerState, BrokerStatus, StopOutcome};
pub use tools::{ToolMissing, find_tools};
