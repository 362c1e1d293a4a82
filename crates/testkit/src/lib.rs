#![doc = include_str!("../README.md")]

mod broker;
mod checker;
mod collector;
mod database;
mod environment;
mod evidence;
mod load;
mod log_scan;
mod process;
mod prometheus;
mod provider;
mod proxy;
mod reader;
mod requests;
mod stand_in;
mod system;
mod wait;

pub use broker::TestBroker;
pub use checker::{
    Booked, BookedEvent, Committed, DeadRecord, Evidence, Place, Row, RowState, SourceRecord, Told,
    Verdict,
};
pub use collector::{Collector, Exported};
pub use database::TestDatabase;
pub use environment::full_length;
pub use load::{Load, LoadReport, Plan};
pub use process::{Program, program_path};
pub use prometheus::Prometheus;
pub use provider::{Script, json_answer, provider};
pub use proxy::{Link, Proxy, RETRANSMISSION};
pub use reader::Reader;
pub use requests::{booking_request, sample_event, sample_request};
pub use stand_in::StandIn;
pub use system::{System, SystemBuilder};
pub use wait::{eventually, eventually_within};
