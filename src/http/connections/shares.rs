//! What one address may have of something that all share, so that it cannot take everything.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many places each address holds, and the most that one may. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::http) struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    /// Only addresses that hold a place, so that it is never longer than the list of places.
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// A place that counts for its address until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct Share(Option<(Arc<Inner>, IpAddr)>);

impl Shares {
    /// Shares of `percent` of `total` places, and at least one place.
    pub(in crate::http) fn new(total: usize, percent: usize) -> Self {
        let most = (total * percent).div_ceil(100).max(1);
        Self(Arc::new(Inner { most, held: Mutex::default() }))
    }

    /// The most places that one address may hold.
    pub(in crate::http) fn most(&self) -> usize {
        self.0.most
    }

    /// One more place for the address; none when it holds the most already. What has no address is not counted.
    pub(in crate::http) fn take(&self, address: Option<IpAddr>) -> Option<Share> {
        let Some(address) = address else { return Some(Share(None)) };
        let mut held = self.0.held();
        let count = held.entry(address).or_default();
        if *count >= self.0.most {
            return None;
        }
        *count += 1;
        Some(Share(Some((Arc::clone(&self.0), address))))
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((inner, address)) = &self.0 else { return };
        let mut held = inner.held();
        if let Some(count) = held.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                held.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_share_and_nothing_is_kept_of_it() {
        let shares = Shares::new(10, 25);
        assert_eq!(shares.most(), 3);
        let [one, two] = ["203.0.113.1", "203.0.113.2"].map(|address| Some(address.parse().unwrap()));
        let held: Vec<_> = (0..3).map(|_| shares.take(one).unwrap()).collect();
        assert!(shares.take(one).is_none());
        assert!(shares.take(two).is_some() && shares.take(None).is_some());
        drop(held);
        assert!(shares.take(one).is_some());
        assert!(shares.0.held().is_empty());
        assert_eq!(Shares::new(1, 1).most(), 1);
    }
}
