//! Kafka's libraries, resolved once by Maven.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tracing::info;

use crate::apache::BrokerError;
use crate::apache::files::{self, FileContext as _};
use crate::apache::java::complaint;
use crate::apache::layout::Layout;
use crate::apache::tools::{Java, find_maven};

/// In full, so that a machine without a network hears of the network and not of an unknown prefix.
const GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies";
const POM: &str = include_str!("assets/pom.xml");

/// Makes the libraries of the pinned versions be there. Runs Maven only when they are not.
pub(crate) async fn resolve(layout: &Layout, java: &Java) -> Result<(), BrokerError> {
    let libs = layout.libs();
    // The POM lies beside the jars it resolved, and both appear in one rename.
    if files::read(&libs.join("pom.xml"))?.as_deref() == Some(POM) {
        return Ok(());
    }
    let draft = layout.root().join("libs.new");
    files::remove(&draft)?;
    fs::create_dir_all(&draft).in_file(&draft)?;
    let pom = draft.join("pom.xml");
    fs::write(&pom, POM).in_file(&pom)?;
    info!("fetching Apache Kafka with Maven, about 54 MB, once");
    fetch(&draft, java).await?;
    files::remove(&libs)?;
    fs::rename(&draft, &libs).in_file(&libs)
}

/// Runs Maven in the folder of a POM; the jars appear there.
async fn fetch(folder: &Path, java: &Java) -> Result<(), BrokerError> {
    let maven = find_maven()?;
    let mut command = Command::new(&maven);
    command
        .args(["-q", "-B", "-Dstyle.color=never", GOAL])
        .args(["-DincludeScope=runtime", "-DoutputDirectory=."])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(home) = java.home() {
        command.env("JAVA_HOME", home);
    }
    let output = command.output().await;
    let output = output.map_err(|source| BrokerError::Run {
        program: maven,
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    // Maven resets the colours even when it is told to use none.
    let said = String::from_utf8_lossy(&output.stdout).replace("\u{1b}[0m", "");
    Err(BrokerError::Jars {
        complaint: complaint(&said),
    })
}
