//! Java and Maven, where this machine has them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Kafka 4 brokers need Java 17 (KIP-1013).
const OLDEST_JAVA: u32 = 17;

/// What is missing, and how to get it, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ToolMissing(String);

/// Looks for Java 17 or newer (`JAVA_HOME`, then `PATH`) and for Maven, and returns the version of that Java: 17, 21, 25.
///
/// # Errors
/// What is missing first.
pub fn find_tools() -> Result<u32, ToolMissing> {
    let java = find_java()?;
    find_maven()?;
    Ok(java.version)
}

/// A Java that is new enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Java {
    pub(crate) program: PathBuf,
    pub(crate) version: u32,
}

impl Java {
    /// What `JAVA_HOME` should be for programs that look there, such as Maven.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.program.parent().and_then(Path::parent)
    }
}

pub(crate) fn find_java() -> Result<Java, ToolMissing> {
    let of_home = java_home().map(|home| Path::new(&home).join("bin/java"));
    let candidates = of_home.into_iter().chain([PathBuf::from("java")]);
    let found: Vec<Java> = candidates.filter_map(|java| ask_java(&java)).collect();
    if let Some(java) = found.iter().find(|java| java.version >= OLDEST_JAVA) {
        return Ok(java.clone());
    }
    let instead = found.first().map_or_else(String::new, |java| {
        format!(" (found {} at {})", java.version, java.program.display())
    });
    Err(ToolMissing(format!(
        "Java {OLDEST_JAVA} or newer is missing{instead}: install it, for example with `apt-get install openjdk-17-jre-headless`, or set JAVA_HOME"
    )))
}

#[expect(
    clippy::disallowed_methods,
    reason = "JAVA_HOME is Java's own setting, not one of ours"
)]
fn java_home() -> Option<String> {
    std::env::var("JAVA_HOME")
        .ok()
        .filter(|home| !home.is_empty())
}

/// Asks a Java for its version and its home, which gives the absolute path that scripts need.
fn ask_java(program: &Path) -> Option<Java> {
    let mut ask = Command::new(program);
    let answer = ask.args(["-XshowSettings:properties", "-version"]).output();
    read_java_settings(&String::from_utf8_lossy(&answer.ok()?.stderr))
}

fn read_java_settings(text: &str) -> Option<Java> {
    let property = |name: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once(" = "));
        let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
        Some(value.trim())
    };
    let version = property("java.specification.version")?;
    // Java 8 and older call themselves 1.8.
    let version = version.strip_prefix("1.").unwrap_or(version);
    Some(Java {
        program: Path::new(property("java.home")?).join("bin/java"),
        version: version.parse().ok()?,
    })
}

pub(crate) fn find_maven() -> Result<PathBuf, ToolMissing> {
    let maven = PathBuf::from("mvn");
    let mut ask = Command::new(&maven);
    let ask = ask.arg("-version").stdin(Stdio::null());
    // Without a Java of its own Maven says so and fails; it is there all the same, and gets ours.
    match ask.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => Ok(maven),
        Err(_) => Err(ToolMissing(
            "Maven is missing: install it, for example with `apt-get install maven`, so that `mvn` is on the PATH".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(version: &str, home: &str) -> String {
        format!(
            "Property settings:\n    java.home = {home}\n    java.specification.version = {version}\n\nopenjdk version\n"
        )
    }

    #[test]
    fn a_java_says_its_version_and_its_home() {
        let java = read_java_settings(&settings("17", "/opt/jdk")).unwrap();
        assert_eq!(java.version, 17);
        assert_eq!(java.program, Path::new("/opt/jdk/bin/java"));
        assert_eq!(java.home(), Some(Path::new("/opt/jdk")));
    }

    #[test]
    fn an_old_java_is_known_as_old() {
        let java = read_java_settings(&settings("1.8", "/opt/jre8")).unwrap();
        assert_eq!(java.version, 8);
    }

    #[test]
    fn what_is_no_java_is_nothing() {
        assert_eq!(read_java_settings("sh: java: not found"), None);
        assert_eq!(ask_java(Path::new("/no/such/java")), None);
    }
}
