//! Reading and writing with the file's name in the error.

use std::fs;
use std::io;
use std::path::Path;

use crate::apache::BrokerError;

/// Adds the file to an error about it.
pub(crate) trait FileContext<T> {
    fn in_file(self, path: &Path) -> Result<T, BrokerError>;
}

impl<T> FileContext<T> for io::Result<T> {
    fn in_file(self, path: &Path) -> Result<T, BrokerError> {
        self.map_err(|source| BrokerError::File {
            path: path.to_owned(),
            source,
        })
    }
}

/// Writes a file all at once: a reader sees the old text or the new one.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), BrokerError> {
    let draft = path.with_extension("new");
    fs::write(&draft, text).in_file(&draft)?;
    fs::rename(&draft, path).in_file(path)
}

/// The text of a file, or nothing if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, BrokerError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BrokerError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Removes a file or a folder, which may be missing.
pub(crate) fn remove(path: &Path) -> Result<(), BrokerError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.in_file(path),
    }
}
