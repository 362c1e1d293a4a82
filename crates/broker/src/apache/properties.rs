//! The settings of a broker.

use std::fmt::Write as _;

use crate::apache::ClusterSize;
use crate::apache::layout::Layout;
use crate::apache::options::{client_port, controller_port};

/// Partitions of a topic that is created without saying how many.
const PARTITIONS: u16 = 3;

/// What the settings of one broker depend on.
pub(crate) struct Server<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) number: u8,
    pub(crate) size: ClusterSize,
    pub(crate) port: u16,
}

impl Server<'_> {
    /// The text of `server.properties`. What is not named keeps Kafka's default.
    pub(crate) fn properties(&self) -> String {
        let (client, controller) = (
            client_port(self.port, self.number),
            controller_port(self.port, self.number),
        );
        let voters: Vec<_> = self
            .size
            .numbers()
            .map(|number| format!("{number}@127.0.0.1:{}", controller_port(self.port, number)))
            .collect();
        let (replicas, in_sync) = match self.size {
            ClusterSize::One => (1, 1),
            ClusterSize::Three => (3, 2),
        };
        format!(
            "# Written by harkara at each start.
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{client}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={records}
auto.create.topics.enable=false
num.partitions={PARTITIONS}
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.num.partitions=10
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
",
            number = self.number,
            voters = voters.join(","),
            records = escape(&self.layout.records(self.number).to_string_lossy()),
        )
    }
}

/// Spells a value as `java.util.Properties.load` reads it: Latin-1 with `\uXXXX` escapes.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\\') => escaped.push_str("\\\\"),
            Ok(byte @ b' '..=b'~') => escaped.push(char::from(byte)),
            _ => {
                let _infallible = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn properties(size: ClusterSize, number: u8) -> String {
        let layout = Layout::of(Path::new("/srv/data")).unwrap();
        let server = Server {
            layout: &layout,
            number,
            size,
            port: 9092,
        };
        server.properties()
    }

    #[test]
    fn one_broker_replicates_nothing() {
        let text = properties(ClusterSize::One, 1);
        for line in [
            "node.id=1",
            "controller.quorum.voters=1@127.0.0.1:9192",
            "log.dirs=/srv/data/kafka/broker-1/data",
            "num.partitions=3",
            "offsets.topic.replication.factor=1",
            "min.insync.replicas=1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn three_brokers_replicate_to_all_and_need_two() {
        let text = properties(ClusterSize::Three, 3);
        for line in [
            "node.id=3",
            "controller.quorum.voters=1@127.0.0.1:9192,2@127.0.0.1:9193,3@127.0.0.1:9194",
            "listeners=PLAINTEXT://127.0.0.1:9094,CONTROLLER://127.0.0.1:9194",
            "default.replication.factor=3",
            "min.insync.replicas=2",
            "transaction.state.log.min.isr=2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_path_outside_latin_1_survives_java() {
        assert_eq!(
            escape("/srv/हरकारा"),
            "/srv/\\u0939\\u0930\\u0915\\u093e\\u0930\\u093e"
        );
        assert_eq!(escape("a\\b c"), "a\\\\b c");
    }
}
