//! Memory that is shared out in bytes: what is held for requests that are on their way, and for live answers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many bytes, for all who need some. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::http) struct Memory(Arc<Semaphore>);

/// What somebody holds of it: as much as their largest took, since buffers do not shrink.
#[derive(Debug, Default)]
pub(in crate::http) struct Room(Option<OwnedSemaphorePermit>);

impl Memory {
    pub(in crate::http) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// Widens `room` to so many bytes; false where too much is in use.
    pub(in crate::http) fn widen(&self, room: &mut Room, bytes: usize) -> bool {
        let held = room.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if bytes > held {
            let Ok(more) = u32::try_from(bytes - held) else { return false };
            let Ok(more) = Arc::clone(&self.0).try_acquire_many_owned(more) else { return false };
            match &mut room.0 {
                Some(held) => held.merge(more),
                none => *none = Some(more),
            }
        }
        true
    }

    /// Bytes that nobody holds.
    pub(in crate::http) fn free(&self) -> usize {
        self.0.available_permits()
    }
}
