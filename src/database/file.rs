//! Which file a path leads to. SQLite goes on reading the file that it opened, also after that was deleted or
//! another one took its place: such a connection has to go, or its numbers would be those of long ago.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long opening a file may take: a connection that was made this soon after a change may have the old file.
const OPENING: Duration = Duration::from_secs(1);

/// The file at a path, which may become another one.
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

    /// Whether a connection of that age reads the file that is at the path now.
    pub(super) fn is_read_by(&self, age: Duration) -> bool {
        let (identity, now) = (identity(&self.path), Instant::now());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.identity != identity {
            *seen = Seen { identity, changed: Some(now) };
        }
        identity.is_some() && seen.changed.is_none_or(|changed| now.duration_since(changed) > age + OPENING)
    }
}

/// What tells files apart, whatever they are called; none when there is no file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
