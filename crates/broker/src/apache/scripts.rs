//! Kafka's command-line tools as scripts.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::apache::BrokerError;
use crate::apache::files::{self, FileContext as _};
use crate::apache::java::{SHORT_LIVED, log_config};
use crate::apache::layout::Layout;

const BROKER_LOG: &str = include_str!("assets/broker-log4j2.properties");
const TOOLS_LOG: &str = include_str!("assets/tools-log4j2.properties");

/// How long a tool usually runs, which decides how Java compiles it.
#[derive(Clone, Copy)]
enum Run {
    Short,
    Long,
}

/// The names are those of Kafka's own distribution.
const TOOLS: [(&str, &str, Run); 7] = [
    (
        "kafka-topics.sh",
        "org.apache.kafka.tools.TopicCommand",
        Run::Short,
    ),
    ("kafka-configs.sh", "kafka.admin.ConfigCommand", Run::Short),
    (
        "kafka-consumer-groups.sh",
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        Run::Short,
    ),
    (
        "kafka-console-consumer.sh",
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        Run::Short,
    ),
    (
        "kafka-console-producer.sh",
        "org.apache.kafka.tools.ConsoleProducer",
        Run::Short,
    ),
    (
        "kafka-producer-perf-test.sh",
        "org.apache.kafka.tools.ProducerPerformance",
        Run::Long,
    ),
    (
        "kafka-consumer-perf-test.sh",
        "org.apache.kafka.tools.ConsumerPerformance",
        Run::Long,
    ),
];

/// Writes the scripts, and what brokers and tools log.
pub(crate) fn write(layout: &Layout, java: &Path) -> Result<(), BrokerError> {
    files::write(&layout.broker_log_config(), BROKER_LOG)?;
    files::write(&layout.tools_log_config(), TOOLS_LOG)?;
    let bin = layout.bin();
    fs::create_dir_all(&bin).in_file(&bin)?;
    for (name, main_class, run) in TOOLS {
        let path = bin.join(name);
        files::write(&path, &script(layout, java, main_class, run))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755)).in_file(&path)?;
    }
    Ok(())
}

fn script(layout: &Layout, java: &Path, main_class: &str, run: Run) -> String {
    let flags = match run {
        Run::Short => SHORT_LIVED.join(" "),
        Run::Long => "-XX:+UseG1GC".to_owned(),
    };
    format!(
        "#!/bin/sh\n# Written by harkara at each start.\nexec {java} -Xmx512m {flags} {log} -cp {class_path} {main_class} \"$@\"\n",
        java = quote(&java.to_string_lossy()),
        log = quote(&log_config(&layout.tools_log_config())),
        class_path = quote(&layout.class_path().to_string_lossy()),
    )
}

/// One word of the shell, whatever is in it.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_script_hands_on_every_word_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("it's a folder");
        let layout = Layout::create(&data_dir).unwrap();
        write(&layout, Path::new("/bin/echo")).unwrap();
        let mut tool = Command::new(layout.bin().join("kafka-topics.sh"));
        let output = tool.args(["--topic", "a  b"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let end = "it's a folder/kafka/libs/* org.apache.kafka.tools.TopicCommand --topic a  b\n";
        assert!(text.ends_with(end), "{text}");
    }
}
