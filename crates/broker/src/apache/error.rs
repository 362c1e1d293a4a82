//! What can go wrong, one line each for an operator.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::apache::{ClusterSize, ToolMissing};

/// A broker could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Java or Maven is not there.
    #[error(transparent)]
    Tools(#[from] ToolMissing),
    /// The data directory cannot be named in Java's settings.
    #[error("the data directory {} cannot hold a broker: its path must be UTF-8 without ':' and ','", .path.display())]
    UnusablePath {
        /// The directory.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("could not use {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the data directory says about its cluster makes no sense.
    #[error("{} is damaged", .path.display())]
    DamagedIdentity {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Another start is under way in the same data directory.
    #[error("another start is under way in {}", .path.display())]
    StartUnderWay {
        /// The data directory's Kafka folder.
        path: PathBuf,
    },
    /// The data directory holds a cluster of another size.
    #[error(
        "the data directory holds a cluster of {recorded}, not of {wanted}: ask for {recorded} or take another data directory"
    )]
    OtherSize {
        /// What it holds.
        recorded: ClusterSize,
        /// What was asked for.
        wanted: ClusterSize,
    },
    /// The cluster runs already, elsewhere.
    #[error("the cluster already runs from port {running}, not {wanted}: stop it first to move it")]
    RunsOnOtherPort {
        /// Where broker 1 is.
        running: u16,
        /// Where it was wanted.
        wanted: u16,
    },
    /// The ports of the cluster would not exist.
    #[error("port {port} cannot be the first one: 1 to {highest}")]
    PortOutOfRange {
        /// What was asked for.
        port: u16,
        /// The highest that works.
        highest: u16,
    },
    /// Another process listens where the broker should.
    #[error(
        "port {port} is taken, broker {number} cannot listen there: stop what uses it or choose another port"
    )]
    PortTaken {
        /// The broker.
        number: u8,
        /// The port.
        port: u16,
    },
    /// No such broker in this cluster.
    #[error("there is no broker {number} in a cluster of {size}")]
    NoSuchBroker {
        /// What was asked for.
        number: u8,
        /// The cluster.
        size: ClusterSize,
    },
    /// A single broker cannot be started before the cluster ever was.
    #[error("no cluster was started in {} yet", .path.display())]
    NeverStarted {
        /// The data directory's Kafka folder.
        path: PathBuf,
    },
    /// A program could not be run at all.
    #[error("could not run {}", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Maven could not fetch Kafka.
    #[error("Maven could not resolve Kafka's libraries: {complaint}")]
    Jars {
        /// What Maven said.
        complaint: String,
    },
    /// The storage of a broker could not be formatted.
    #[error("could not format the storage of broker {number}: {complaint}")]
    Format {
        /// The broker.
        number: u8,
        /// What Kafka said.
        complaint: String,
    },
    /// A broker ended while it was starting.
    #[error("broker {number} ended while it was starting: {complaint} (see {})", .log.display())]
    Ended {
        /// The broker.
        number: u8,
        /// What it said last.
        complaint: String,
        /// Its log.
        log: PathBuf,
    },
    /// A broker runs, but does not answer.
    #[error("broker {number} at {address} did not answer within {waited:?} (see {})", .log.display())]
    Silent {
        /// The broker.
        number: u8,
        /// Where it should answer.
        address: String,
        /// How long was waited.
        waited: Duration,
        /// Its log.
        log: PathBuf,
    },
    /// The start was to stop before every broker answered.
    #[error("the start was interrupted")]
    Interrupted,
    /// A broker cannot be signalled.
    #[error("could not signal broker {number}, process {pid}")]
    Signal {
        /// The broker.
        number: u8,
        /// Its process.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A broker is still there after it was killed.
    #[error("broker {number}, process {pid}, does not end")]
    DoesNotEnd {
        /// The broker.
        number: u8,
        /// Its process.
        pid: u32,
    },
}
