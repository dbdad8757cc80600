//! Places for connections. When there are no more, the connection that has been idle longest makes room for a new one,
//! and a few more places remain for the probes.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    activity::Activity,
    admission::Terms,
    shares::{Share, Shares},
};
use crate::metrics;

/// The connections beyond the limit, on which only the probes are answered; and the percentage of them that one address
/// may have.
pub(super) const RESERVE: usize = 32;
const RESERVE_PERCENT: usize = 50;
/// Only a connection that has been idle for this time makes room for another.
const IDLE: Duration = Duration::from_secs(1);
/// The least time between two searches for the connection that has been idle longest, since each looks at all of them.
const SEARCH: Duration = Duration::from_millis(5);

/// The places for connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    free: Arc<Semaphore>,
    shares: Shares,
    reserve: Arc<Semaphore>,
    reserve_shares: Shares,
    guests: Mutex<Guests>,
    next: AtomicU64,
}

#[derive(Default)]
struct Guests {
    all: HashMap<u64, Guest>,
    searched: Option<Instant>,
}

/// A connection that can be asked to make room.
struct Guest {
    address: Option<IpAddr>,
    activity: Arc<Activity>,
    seat: Seat,
    leave: CancellationToken,
}

struct Place {
    permit: OwnedSemaphorePermit,
    share: Share,
}

/// The place of a connection, until it is dropped or given to another one.
#[derive(Clone)]
pub(super) struct Seat(Arc<Mutex<Option<Place>>>);

impl Seat {
    fn new(permit: OwnedSemaphorePermit, share: Share) -> Self {
        Self(Arc::new(Mutex::new(Some(Place { permit, share }))))
    }

    fn give_up(&self) -> Option<Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Places {
    /// This number of places, of which one address may hold `percent`.
    pub(super) fn new(total: usize, percent: usize) -> Self {
        Self(Arc::new(Inner {
            free: Arc::new(Semaphore::new(total)),
            shares: Shares::new(total, percent),
            reserve: Arc::new(Semaphore::new(RESERVE)),
            reserve_shares: Shares::new(RESERVE, RESERVE_PERCENT),
            guests: Mutex::default(),
            next: AtomicU64::new(0),
        }))
    }

    /// A place for a connection of this address; without an address, no share is counted. None when not even a place of
    /// the reserve is free.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Option<(Seat, Terms)> {
        let Inner { free, shares, reserve, reserve_shares, .. } = &*self.0;
        let seat = match shares.take(address) {
            Some(share) => match Arc::clone(free).try_acquire_owned() {
                Ok(permit) => Some(Seat::new(permit, share)),
                Err(_) => self.make_room(None).map(|place| Seat::new(place.permit, share)),
            },
            // The share is full: only connections of the same address make room.
            None => self.make_room(address).map(|place| Seat::new(place.permit, place.share)),
        };
        if let Some(seat) = seat {
            return Some((seat, Terms::All));
        }
        let share = reserve_shares.take(address)?;
        let permit = Arc::clone(reserve).try_acquire_owned().ok()?;
        Some((Seat::new(permit, share), Terms::Crowded))
    }

    /// Ends the connection that has been idle longest, of this address if there is one, and returns its place.
    fn make_room(&self, of: Option<IpAddr>) -> Option<Place> {
        let mut guests = self.0.guests();
        if guests.searched.is_some_and(|at| at.elapsed() < SEARCH) {
            return None;
        }
        guests.searched = Some(Instant::now());
        let idle = guests.all.iter().filter(|(_, guest)| of.is_none() || guest.address == of);
        let idle = idle.filter_map(|(id, guest)| Some((guest.activity.idle_since()?, *id)));
        let (since, longest) = idle.min()?;
        if since.elapsed() < IDLE {
            return None;
        }
        let guest = guests.all.remove(&longest)?;
        metrics::request_refused("idle");
        guest.leave.cancel();
        guest.seat.give_up()
    }

    /// Ends the connection that has been idle longest: the process has no more files.
    pub(super) fn free_one(&self) {
        drop(self.make_room(None));
    }

    /// Lists a connection among those that can be asked to make room, until the result is dropped: `leave` is cancelled
    /// when it has to.
    pub(super) fn list(
        &self,
        address: Option<IpAddr>,
        activity: Arc<Activity>,
        seat: Seat,
        leave: CancellationToken,
    ) -> Listed {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.0.guests().all.insert(id, Guest { address, activity, seat, leave });
        Listed(self.clone(), id)
    }
}

impl Inner {
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that can be asked to make room.
pub(super) struct Listed(Places, u64);

impl Drop for Listed {
    fn drop(&mut self) {
        // Dropped after the lock is free again, since it may hold the last part of the connection.
        let guest = self.0.0.guests().all.remove(&self.1);
        drop(guest);
    }
}
