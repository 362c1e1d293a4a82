//! What a data directory remembers of its cluster.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::apache::layout::Layout;
use crate::apache::{BrokerError, ClusterSize, Options, files};

/// Decided at the first start; only the ports may move, while nothing runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) cluster_id: String,
    pub(crate) size: ClusterSize,
    pub(crate) port: u16,
}

impl Identity {
    pub(crate) fn read(layout: &Layout) -> Result<Option<Self>, BrokerError> {
        let path = layout.identity();
        let Some(text) = files::read(&path)? else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(identity) => Ok(Some(identity)),
            Err(source) => Err(BrokerError::DamagedIdentity { path, source }),
        }
    }

    /// The identity to start with. `running` is how many brokers run.
    ///
    /// The size cannot change: voters with empty logs could outvote the one that has the records.
    pub(crate) fn settle(
        layout: &Layout,
        options: &Options,
        running: usize,
    ) -> Result<Self, BrokerError> {
        match Self::read(layout)? {
            None => Ok(Self::new(options)),
            Some(known) if known.size != options.size => Err(BrokerError::OtherSize {
                recorded: known.size,
                wanted: options.size,
            }),
            Some(known) if running > 0 && known.port != options.port => {
                Err(BrokerError::RunsOnOtherPort {
                    running: known.port,
                    wanted: options.port,
                })
            }
            Some(known) => Ok(Self {
                port: options.port,
                ..known
            }),
        }
    }

    pub(crate) fn write(&self, layout: &Layout) -> Result<(), BrokerError> {
        let path = layout.identity();
        match serde_json::to_string(self) {
            Ok(text) => files::write(&path, &text),
            Err(source) => Err(BrokerError::DamagedIdentity { path, source }),
        }
    }

    fn new(options: &Options) -> Self {
        Self {
            cluster_id: cluster_id(chassis::chance::bytes()),
            size: options.size,
            port: options.port,
        }
    }
}

/// Kafka's spelling of a UUID: 22 characters of URL-safe base64.
fn cluster_id(mut bytes: [u8; 16]) -> String {
    // A first character '-' would be read as an option by Kafka's storage tool.
    let [first, ..] = &mut bytes;
    *first &= 0x7f;
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(data_dir: &std::path::Path, size: ClusterSize, port: u16) -> Options {
        Options {
            size,
            port,
            ..Options::new(data_dir)
        }
    }

    #[test]
    fn a_cluster_id_is_22_characters_and_no_option() {
        let id = cluster_id([0xff; 16]);
        assert_eq!(id.len(), 22);
        assert!(!id.starts_with('-'), "{id}");
    }

    #[test]
    fn a_cluster_keeps_its_id_and_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let one = options(folder.path(), ClusterSize::One, 9092);
        let three = options(folder.path(), ClusterSize::Three, 9092);
        let first = Identity::settle(&layout, &one, 0).unwrap();
        first.write(&layout).unwrap();
        assert_eq!(Identity::settle(&layout, &one, 1).unwrap(), first);
        let refused = Identity::settle(&layout, &three, 0);
        assert!(matches!(refused, Err(BrokerError::OtherSize { .. })));
    }

    #[test]
    fn a_running_cluster_does_not_move() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let here = options(folder.path(), ClusterSize::One, 9092);
        let there = options(folder.path(), ClusterSize::One, 9192);
        let first = Identity::settle(&layout, &here, 0).unwrap();
        first.write(&layout).unwrap();
        let refused = Identity::settle(&layout, &there, 1);
        assert!(matches!(refused, Err(BrokerError::RunsOnOtherPort { .. })));
        let moved = Identity::settle(&layout, &there, 0).unwrap();
        assert_eq!((moved.port, moved.cluster_id), (9192, first.cluster_id));
    }
}
