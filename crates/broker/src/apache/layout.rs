//! Where everything lies under the data directory.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::apache::BrokerError;
use crate::apache::files::FileContext as _;

/// The folder `kafka` of a data directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of a data directory that may not exist.
    pub(crate) fn of(data_dir: &Path) -> Result<Self, BrokerError> {
        // Links are resolved, because a broker is known again by the path in its command line.
        let path = data_dir
            .canonicalize()
            .or_else(|_| std::path::absolute(data_dir))
            .in_file(data_dir)?;
        match path.to_str() {
            Some(text) if !text.contains([':', ',']) => Ok(Self {
                root: path.join("kafka"),
            }),
            Some(_) | None => Err(BrokerError::UnusablePath { path }),
        }
    }

    /// The same, after making the folder.
    pub(crate) fn create(data_dir: &Path) -> Result<Self, BrokerError> {
        fs::create_dir_all(data_dir.join("kafka")).in_file(data_dir)?;
        Self::of(data_dir)
    }

    /// Keeps a second start out until the file is dropped.
    pub(crate) fn lock(&self) -> Result<File, BrokerError> {
        let path = self.root.join("lock");
        let file = File::create(&path).in_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(BrokerError::StartUnderWay {
                path: self.root.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(BrokerError::File { path, source }),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.root.join("cluster.json")
    }

    pub(crate) fn libs(&self) -> PathBuf {
        self.root.join("libs")
    }

    /// Java's own wildcard: every jar of the folder.
    pub(crate) fn class_path(&self) -> PathBuf {
        self.libs().join("*")
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    pub(crate) fn broker_log_config(&self) -> PathBuf {
        self.root.join("broker-log4j2.properties")
    }

    pub(crate) fn tools_log_config(&self) -> PathBuf {
        self.root.join("tools-log4j2.properties")
    }

    pub(crate) fn broker(&self, number: u8) -> PathBuf {
        self.root.join(format!("broker-{number}"))
    }

    pub(crate) fn properties(&self, number: u8) -> PathBuf {
        self.broker(number).join("server.properties")
    }

    pub(crate) fn records(&self, number: u8) -> PathBuf {
        self.broker(number).join("data")
    }

    pub(crate) fn log(&self, number: u8) -> PathBuf {
        self.broker(number).join("out.log")
    }

    pub(crate) fn pid(&self, number: u8) -> PathBuf {
        self.broker(number).join("pid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_java_would_split_is_refused() {
        for path in ["/tmp/a:b", "/tmp/a,b"] {
            let refused = Layout::of(Path::new(path));
            assert!(matches!(refused, Err(BrokerError::UnusablePath { .. })));
        }
    }

    #[test]
    fn a_second_start_is_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let first = layout.lock().unwrap();
        let second = layout.lock();
        assert!(matches!(second, Err(BrokerError::StartUnderWay { .. })));
        drop(first);
        layout.lock().unwrap();
    }
}
