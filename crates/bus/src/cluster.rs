//! What a cluster tells of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::{AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::topics::{TIMEOUT, TopicError, Topics, answered};

/// The brokers that answer together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// How many brokers there are.
    pub brokers: usize,
}

/// Settings by topic and by their name at the broker.
pub type TopicConfigs = BTreeMap<String, BTreeMap<String, String>>;

impl Topics {
    /// Which cluster answers.
    ///
    /// # Errors
    /// [`TopicError::Unreachable`] or [`TopicError::Unconnected`] if no broker answers within 5 s.
    pub async fn cluster(&self) -> Result<Cluster, TopicError> {
        let client = Arc::clone(&self.client);
        let ask = move || {
            let metadata = answered(&client, client.fetch_metadata(None, TIMEOUT))?;
            Ok(Cluster {
                id: client.client().fetch_cluster_id(TIMEOUT),
                brokers: metadata.brokers().len(),
            })
        };
        let asked = tokio::task::spawn_blocking(ask).await;
        asked.map_err(TopicError::Interrupted)?
    }

    /// The settings of topics that exist; none from a broker that tells none within 5 s.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn configs(&self, names: &[&str]) -> Result<Option<TopicConfigs>, TopicError> {
        if names.is_empty() {
            return Ok(Some(TopicConfigs::new()));
        }
        let resources: Vec<_> = names
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let told = match self.admin.describe_configs(&resources, &options).await {
            Ok(told) => told,
            // librdkafka's in-process broker does not know the request, and its client waits for one that does.
            Err(KafkaError::AdminOp(
                RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::OperationTimedOut,
            )) => return Ok(None),
            Err(error) => return Err(TopicError::Unreachable(error)),
        };
        let mut configs = TopicConfigs::new();
        for (resource, name) in told.into_iter().zip(names) {
            let config = resource.map_err(|reason| TopicError::Refused {
                topic: (*name).to_owned(),
                reason,
            })?;
            configs.extend(of_topic(config));
        }
        Ok(Some(configs))
    }
}

fn of_topic(resource: ConfigResource) -> Option<(String, BTreeMap<String, String>)> {
    let OwnedResourceSpecifier::Topic(name) = resource.specifier else {
        return None;
    };
    let entries = resource.entries.into_iter();
    let told = entries.filter_map(|entry| Some((entry.name, entry.value?)));
    Some((name, told.collect()))
}
