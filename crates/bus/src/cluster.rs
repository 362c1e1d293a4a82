//! What a cluster tells of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::{AdminOptions, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::topics::{TIMEOUT, TopicError, Topics, answered, blocking};

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
        blocking(ask).await
    }

    /// The settings of topics that exist, but for those that the broker does not let this user describe; none from a broker that tells none within 5 s.
    ///
    /// # Errors
    /// [`TopicError::Unreachable`].
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
        let told = told.into_iter().flatten();
        Ok(Some(told.filter_map(of_topic).collect()))
    }
}

/// None of a topic that was refused: the client passes its error over and leaves it without settings.
fn of_topic(resource: ConfigResource) -> Option<(String, BTreeMap<String, String>)> {
    let OwnedResourceSpecifier::Topic(name) = resource.specifier else {
        return None;
    };
    let entries = resource.entries.into_iter();
    let told = entries.filter_map(|entry| Some((entry.name, entry.value?)));
    let told: BTreeMap<_, _> = told.collect();
    (!told.is_empty()).then_some((name, told))
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource};

    use super::*;

    #[test]
    fn a_topic_whose_description_is_refused_has_no_settings() {
        let retention = ConfigEntry {
            name: "retention.ms".to_owned(),
            value: Some("1000".to_owned()),
            source: ConfigSource::Default,
            is_read_only: false,
            is_default: true,
            is_sensitive: false,
        };
        let resource = |name: &str, entries| ConfigResource {
            specifier: OwnedResourceSpecifier::Topic(name.to_owned()),
            entries,
        };
        assert_eq!(of_topic(resource("refused", Vec::new())), None);
        let (name, told) = of_topic(resource("told", vec![retention])).unwrap();
        assert_eq!(name, "told");
        assert_eq!(told["retention.ms"], "1000");
    }
}
