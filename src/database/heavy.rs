//! Places for what is heavy, so that light questions find a free connection beside it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How many may wait for each place. The others would wait in vain, and would keep slots from light requests.
const QUEUE_PER_PLACE: usize = 10;

/// The connections that heavy questions may use at once: half of them. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct HeavyPlaces {
    free: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    patience: Duration,
}

/// A place, until it is dropped.
pub(crate) type HeavyPlace = OwnedSemaphorePermit;

/// The number of places among so many connections, at least one.
pub(super) fn places(connections: u32) -> usize {
    usize::try_from(connections / 2).unwrap_or_default().max(1)
}

impl HeavyPlaces {
    /// Places among so many connections, for which each question waits at most `patience`.
    pub(super) fn new(connections: u32, patience: Duration) -> Self {
        let places = places(connections);
        let (free, queue) = (Semaphore::new(places), Semaphore::new(places * QUEUE_PER_PLACE));
        Self { free: Arc::new(free), queue: Arc::new(queue), patience }
    }

    /// A place; none when all are taken and none becomes free in time, or when too many wait already.
    pub(super) async fn take(&self) -> Option<HeavyPlace> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(place);
        }
        let _queued = self.queue.try_acquire().ok()?;
        timeout(self.patience, Arc::clone(&self.free).acquire_owned()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_place_is_waited_for_until_the_patience_ends() {
        let heavy = HeavyPlaces::new(3, Duration::from_millis(20));
        let held = heavy.take().await;
        assert!(held.is_some());
        assert!(heavy.take().await.is_none());
        drop(held);
        assert!(heavy.take().await.is_some());
    }

    #[tokio::test]
    async fn whoever_would_wait_in_vain_is_told_at_once() {
        let heavy = HeavyPlaces::new(3, Duration::from_mins(1));
        let held = heavy.take().await;
        let mut queue: Vec<_> = (0..QUEUE_PER_PLACE).map(|_| Box::pin(heavy.take())).collect();
        assert!(queue.iter_mut().all(|waiting| waiting.as_mut().now_or_never().is_none()));
        assert!(heavy.take().now_or_never().is_some_and(|place| place.is_none()));
        drop(held);
        assert!(queue.remove(0).await.is_some());
    }
}
