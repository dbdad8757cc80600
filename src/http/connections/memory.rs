//! Memory budgets in bytes: for requests and answers in progress, and for live answers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes that several users share. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::http) struct Memory(Arc<Semaphore>);

/// The bytes that one user holds: enough for its largest message so far, because buffers do not shrink.
#[derive(Debug, Default)]
pub(in crate::http) struct Room(Option<OwnedSemaphorePermit>);

impl Memory {
    pub(in crate::http) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// Grows `room` to this number of bytes. False when the memory is used up.
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

    /// The bytes that are not in use.
    pub(in crate::http) fn free(&self) -> usize {
        self.0.available_permits()
    }
}
