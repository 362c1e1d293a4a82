//! The ledger's file: one JSON object a line, only ever appended to.

use std::fs::{File, OpenOptions, TryLockError, create_dir_all};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use chassis::Failure;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::accepted::Accepted;

/// An entry that was read back.
pub(super) type ReadEntry = Entry<Box<Accepted>>;

/// One line of the file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "camelCase")]
pub(super) enum Entry<M> {
    /// A message was accepted.
    Accepted(M),
    /// The view was emptied.
    #[serde(rename_all = "camelCase")]
    Cleared {
        through: u64,
        cleared_at: DateTime<Utc>,
    },
}

/// What cannot be read back cannot be promised.
#[derive(Debug, thiserror::Error)]
#[error("line {number} is not an entry")]
struct BadLine {
    number: usize,
    #[source]
    source: serde_json::Error,
}

/// The open file. A lock on it keeps a second sandbox out.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    length: u64,
}

impl Journal {
    /// Opens `<folder>/ledger.jsonl`, creating what is missing, and hands each entry to `replay`.
    ///
    /// A last line without its end was never acknowledged: it is cut off.
    pub(super) fn open(folder: &Path, mut replay: impl FnMut(ReadEntry)) -> Result<Self, Failure> {
        let could_not_open = || Failure::broken("could not open the sandbox's ledger");
        create_dir_all(folder).map_err(could_not_open())?;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let file = options
            .open(folder.join("ledger.jsonl"))
            .map_err(could_not_open())?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Failure::Unavailable {
                what: "SANDBOX_DATA_DIR",
                problem: format!(
                    "another sandbox, or `harkara up`, uses {}",
                    folder.display()
                ),
            },
            TryLockError::Error(error) => could_not_open()(error),
        })?;
        let mut journal = Self { file, length: 0 };
        journal
            .read_back(&mut replay)
            .map_err(Failure::broken("could not read the sandbox's ledger"))?;
        Ok(journal)
    }

    fn read_back(
        &mut self,
        replay: &mut impl FnMut(ReadEntry),
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        reader.seek(SeekFrom::Start(0))?;
        let mut line = Vec::new();
        let mut number = 0;
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.last() != Some(&b'\n') {
                warn!(
                    bytes = line.len(),
                    "the ledger ended in a torn line, whose sender was never answered"
                );
                break;
            }
            number += 1;
            replay(serde_json::from_slice(&line).map_err(|source| BadLine { number, source })?);
            self.length += line.len() as u64;
            line.clear();
        }
        self.file.set_len(self.length)?;
        Ok(())
    }

    /// Appends one line with one write. Once it returns, a kill of this process loses nothing.
    pub(super) fn append(&mut self, entry: &Entry<&Accepted>) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        match self.file.write_all(&line) {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What was written in part must not run into the next line.
                self.file.set_len(self.length)?;
                Err(error)
            }
        }
    }
}
