//! The identity of a database file. SQLite keeps reading the file that it opened, even after the file was deleted or
//! replaced. Such a connection must be closed, or its numbers would be out of date.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long opening a file may take. A connection that was opened this soon after a replacement may still read the old
/// file.
const OPENING: Duration = Duration::from_secs(1);

/// The file at a path, which may be replaced.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    identity: Option<(u64, u64)>,
    changed: Option<Instant>,
}

impl File {
    /// The file that is at the path now.
    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: Mutex::new(Seen { identity: identity(path), changed: None }) }
    }

    /// Whether a connection of this age reads the file that is at the path now.
    pub(super) fn is_read_by(&self, age: Duration) -> bool {
        let (identity, now) = (identity(&self.path), Instant::now());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.identity != identity {
            *seen = Seen { identity, changed: Some(now) };
        }
        identity.is_some() && seen.changed.is_none_or(|changed| now.duration_since(changed) > age + OPENING)
    }
}

/// The device and inode number of the file; `None` when there is no file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
