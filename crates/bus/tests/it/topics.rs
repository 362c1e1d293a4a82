//! What can be asked of a cluster and its topics.

use std::collections::BTreeSet;

use bus::{KafkaSettings, Offsets, Patience, Producer, TopicPlan, Topics};

use crate::{LIMIT, broker, consumer, publish, read};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_tells_no_settings_of_topics_has_none() {
    let (_broker, settings) = broker(&["a"]);
    let topics = Topics::new(&settings, "test").unwrap();
    assert_eq!(topics.configs(&["a"]).await.unwrap(), None);
    assert_eq!(topics.cluster().await.unwrap().brokers, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_exist_are_described() {
    let (_broker, settings) = broker(&["a", "b"]);
    let topics = Topics::new(&settings, "test").unwrap();
    let names: Vec<_> = topics
        .describe()
        .await
        .unwrap()
        .into_iter()
        .map(|t| (t.name, t.partitions))
        .collect();
    assert!(
        names.contains(&("a".to_owned(), 3)) && names.contains(&("b".to_owned(), 3)),
        "{names:?}"
    );
    let made = topics.ensure(&[TopicPlan::new("a")]).await.unwrap();
    assert_eq!(made, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn why_no_broker_answers_is_told_once_it_is_known() {
    let nowhere = KafkaSettings::local("127.0.0.1:1".to_owned());
    let topics = Topics::new(&nowhere, "test").unwrap();
    let failed = topics.describe().await.unwrap_err().to_string();
    assert!(failed.contains("Connection refused"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_s_position_is_what_it_committed() {
    let (_broker, settings) = broker(&["t"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    for _ in 0..3 {
        publish(&producer, "key", "value").await;
    }
    let topics = Topics::new(&settings, "test").unwrap();
    let wanted = vec!["t".to_owned(), "no-such-topic".to_owned()];
    let before = topics.positions("group", wanted.clone()).await.unwrap();
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|position| position.committed.is_none()));

    let mut consumer = consumer(&settings);
    let records = read(&mut consumer, 3).await;
    let mut offsets = Offsets::default();
    offsets.past(&records[1]);
    consumer.commit(offsets);
    consumer.close().await;
    let after = topics.positions("group", wanted).await.unwrap();
    let written = after.iter().find(|position| position.end > 0).unwrap();
    assert_eq!((written.start, written.end), (0, 3));
    assert_eq!(written.committed, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_reads_what_is_there_and_ends() {
    let (_broker, settings) = broker(&["t", "empty"]);
    let producer = Producer::new(&settings, "test", Patience::Endless).unwrap();
    for n in 0..20 {
        publish(&producer, &format!("key-{n}"), &n.to_string()).await;
    }
    let topics = Topics::new(&settings, "test").unwrap();
    let names = ["t", "empty", "absent"].map(str::to_owned).to_vec();
    for _ in 0..2 {
        let scan = topics.scan(names.clone(), Vec::new(), Vec::push);
        let read = tokio::time::timeout(LIMIT, scan).await.unwrap().unwrap();
        let values: BTreeSet<_> = read.iter().map(|record| record.value.clone()).collect();
        assert_eq!((read.len(), values.len()), (20, 20));
        let in_order = |partition| {
            let of = read.iter().filter(|record| record.partition == partition);
            of.map(|record| record.offset).is_sorted()
        };
        assert!((0..3).all(in_order));
    }
}
