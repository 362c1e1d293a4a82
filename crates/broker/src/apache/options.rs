//! What cluster is wanted, and where.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::apache::BrokerError;

/// From a broker's client port to its controller port.
const CONTROLLER_OFFSET: u16 = 100;

/// The highest first port from which every port of three brokers exists.
const HIGHEST_PORT: u16 = u16::MAX - CONTROLLER_OFFSET - 2;

/// How many brokers: one, or the three that replication needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterSize {
    /// One broker, replication 1.
    #[default]
    One,
    /// Three brokers, replication 3, of which two must have a record before it is acknowledged.
    Three,
}

impl ClusterSize {
    /// The number of brokers.
    pub fn brokers(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }

    /// The numbers of the brokers, which are their node ids too.
    pub(crate) fn numbers(self) -> std::ops::RangeInclusive<u8> {
        1..=self.brokers()
    }
}

impl fmt::Display for ClusterSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.brokers())
    }
}

/// Neither 1 nor 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cluster has 1 or 3 brokers")]
pub struct InvalidClusterSize;

impl FromStr for ClusterSize {
    type Err = InvalidClusterSize;

    fn from_str(text: &str) -> Result<Self, InvalidClusterSize> {
        match text {
            "1" => Ok(Self::One),
            "3" => Ok(Self::Three),
            _ => Err(InvalidClusterSize),
        }
    }
}

/// A cluster on this machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything lives in its folder `kafka`: libraries, scripts, records, logs.
    pub data_dir: PathBuf,
    /// How many brokers. The first start in a data directory decides.
    pub size: ClusterSize,
    /// The client port of broker 1 on the loopback; broker `n` has `port + n - 1`, and its controller that plus 100.
    pub port: u16,
}

impl Options {
    /// One broker on port 9092.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            size: ClusterSize::One,
            port: 9092,
        }
    }

    pub(crate) fn check_port(&self) -> Result<(), BrokerError> {
        if (1..=HIGHEST_PORT).contains(&self.port) {
            return Ok(());
        }
        Err(BrokerError::PortOutOfRange {
            port: self.port,
            highest: HIGHEST_PORT,
        })
    }

    pub(crate) fn check_number(&self, number: u8) -> Result<(), BrokerError> {
        if self.size.numbers().contains(&number) {
            return Ok(());
        }
        Err(BrokerError::NoSuchBroker {
            number,
            size: self.size,
        })
    }
}

/// The addresses of all brokers as clients take them: `127.0.0.1:9092,127.0.0.1:9093`.
pub fn bootstrap(options: &Options) -> String {
    let addresses: Vec<_> = options
        .size
        .numbers()
        .map(|number| address(options.port, number))
        .collect();
    addresses.join(",")
}

/// Where clients reach a broker.
pub(crate) fn address(port: u16, number: u8) -> String {
    format!("127.0.0.1:{}", client_port(port, number))
}

pub(crate) fn client_port(port: u16, number: u8) -> u16 {
    port.saturating_add(u16::from(number.saturating_sub(1)))
}

pub(crate) fn controller_port(port: u16, number: u8) -> u16 {
    client_port(port, number).saturating_add(CONTROLLER_OFFSET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_brokers_have_three_addresses() {
        let options = Options {
            size: "3".parse().unwrap(),
            ..Options::new("data")
        };
        let expected = "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094";
        assert_eq!(bootstrap(&options), expected);
        assert_eq!(controller_port(options.port, 3), 9194);
    }

    #[test]
    fn a_cluster_of_two_is_refused() {
        assert_eq!("2".parse::<ClusterSize>(), Err(InvalidClusterSize));
    }

    #[test]
    fn a_port_without_room_for_the_others_is_refused() {
        for port in [0, 65_434, u16::MAX] {
            let options = Options {
                port,
                ..Options::new("data")
            };
            assert!(options.check_port().is_err(), "{port}");
        }
        assert_eq!(controller_port(HIGHEST_PORT, 3), u16::MAX);
    }
}
