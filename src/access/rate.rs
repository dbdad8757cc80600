//! Rate limits: a budget of cost for each caller, which refills continuously.
//!
//! This is the generic cell rate algorithm (ITU-T I.371): the only state of a caller is the time at which their budget
//! is full again. Work is charged when its cost is known, so requests that run at the same time can overdraw a budget.
//! No new work begins while a budget is overdrawn. Callers with a full budget are forgotten.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most callers with a budget of their own. When there are more, new ones share one budget.
const CALLERS_MAX: usize = 100_000;
/// The time that a full budget is for. All of it may be used at once.
const PERIOD: Duration = Duration::from_mins(1);
/// The least time between two searches for callers to forget.
const SWEEP: Duration = Duration::from_millis(250);
/// The key of the shared budget. The keys of callers are never 0.
const SHARED: u64 = 0;

/// The budgets of all callers. Cheap to clone.
#[derive(Clone)]
pub struct RateLimit(Option<Arc<Inner>>);

struct Inner {
    /// Cost per period.
    budget: u64,
    begun: Instant,
    /// Randomly seeded, so that nobody can choose an address that shares another caller's budget.
    hasher: RandomState,
    callers: Mutex<Callers>,
}

#[derive(Default)]
struct Callers {
    /// When each caller's budget is full again, in microseconds since `begun`.
    paid_until: HashMap<u64, u64>,
    swept: u64,
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimit").field(&self.0.as_ref().map(|inner| inner.budget)).finish()
    }
}

impl RateLimit {
    /// A budget of this cost per minute for each caller; `None` for no limit.
    #[must_use]
    pub fn new(cost_per_minute: Option<u64>) -> Self {
        let inner = |budget| {
            let (begun, hasher, callers) = (Instant::now(), RandomState::new(), Mutex::default());
            Arc::new(Inner { budget, begun, hasher, callers })
        };
        Self(cost_per_minute.map(inner))
    }

    /// The meter of the caller that this value identifies.
    #[must_use]
    pub fn meter(&self, caller: impl Hash) -> Meter {
        Meter(self.0.as_ref().map(|inner| (Arc::clone(inner), inner.hasher.hash_one(caller).max(SHARED + 1))))
    }

    /// How many callers have used a part of their budget.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| inner.callers().paid_until.len())
    }
}

impl Inner {
    fn callers(&self) -> std::sync::MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn wait(&self, caller: u64, now: u64) -> Option<Duration> {
        let callers = self.callers();
        let paid_until = callers.paid_until.get(&caller).or_else(|| {
            // An unknown caller, while there is no place left, uses the shared budget.
            (callers.paid_until.len() >= CALLERS_MAX).then(|| callers.paid_until.get(&SHARED)).flatten()
        });
        let over = paid_until?.checked_sub(now.saturating_add(micros(PERIOD)))?;
        (over > 0).then(|| Duration::from_micros(over))
    }

    fn charge(&self, caller: u64, cost: u64, now: u64) {
        let callers = &mut *self.callers();
        let mut caller = caller;
        if !callers.paid_until.contains_key(&caller) && callers.paid_until.len() >= CALLERS_MAX {
            if now.saturating_sub(callers.swept) >= micros(SWEEP) {
                callers.paid_until.retain(|_, paid_until| *paid_until > now);
                callers.swept = now;
            }
            if callers.paid_until.len() >= CALLERS_MAX {
                caller = SHARED;
            }
        }
        let time = cost.saturating_mul(micros(PERIOD)) / self.budget.max(1);
        let paid_until = callers.paid_until.entry(caller).or_default();
        // The longest wait is one period.
        *paid_until = (*paid_until).max(now).saturating_add(time).min(now.saturating_add(2 * micros(PERIOD)));
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// One caller's use of their budget. Cheap to clone.
#[derive(Clone, Default)]
pub struct Meter(Option<(Arc<Inner>, u64)>);

impl Meter {
    /// How long the caller has to wait before new work begins for them; `None` when they need not wait.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.0.as_ref().and_then(|(inner, caller)| inner.wait(*caller, inner.now()))
    }

    /// Takes this cost from the caller's budget.
    pub fn charge(&self, cost: u64) {
        if let Some((inner, caller)) = &self.0 {
            inner.charge(*caller, cost, inner.now());
        }
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meter").field(&self.0.as_ref().map(|(_, caller)| caller)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn limit(budget: u64) -> Arc<Inner> {
        RateLimit::new(Some(budget)).0.unwrap()
    }

    #[test]
    fn a_budget_can_be_used_at_once_and_fills_up_steadily() {
        let limit = limit(60);
        for _ in 0..60 {
            assert_eq!(limit.wait(1, 0), None);
            limit.charge(1, 1, 0);
        }
        // Using the whole budget is allowed. One more unit has to wait until it has been refilled.
        assert_eq!(limit.wait(1, 0), None);
        limit.charge(1, 1, 0);
        assert_eq!(limit.wait(1, 0), Some(Duration::from_secs(1)));
        assert_eq!(limit.wait(1, SECOND), None);
        assert_eq!(limit.wait(2, 0), None);
        // The wait is never longer than a period, whatever the cost.
        limit.charge(2, u64::MAX, 0);
        assert_eq!(limit.wait(2, 0), Some(PERIOD));
    }

    #[test]
    fn a_million_callers_take_bounded_memory_and_are_forgotten() {
        let limit = limit(60);
        for caller in 1..=1_000_000 {
            limit.charge(caller, 1, SECOND);
        }
        assert_eq!(limit.callers().paid_until.len(), CALLERS_MAX + 1);
        // Callers without a place share one budget, and wait.
        assert!(limit.wait(1_000_000, SECOND).is_some());
        assert_eq!(limit.wait(1, SECOND), None);
        // One unit is refilled after a second.
        limit.charge(2_000_000, 1, 3 * SECOND);
        assert!(limit.callers().paid_until.len() <= 2, "{}", limit.callers().paid_until.len());
    }

    proptest! {
        /// In any time, the admitted cost is at most one budget, what is refilled in that time, and one overdraft.
        #[test]
        fn no_more_is_admitted_than_the_budget(
            budget in 100_000_u64..1_000_000,
            requests in prop::collection::vec((0_u64..5 * SECOND, 0_u64..100_000), 1..300),
        ) {
            let limit = limit(budget);
            let (mut now, mut used, mut largest) = (0_u64, 0_u128, 0_u64);
            for (pause, cost) in requests {
                now += pause;
                if limit.wait(7, now).is_none() {
                    limit.charge(7, cost, now);
                    used += u128::from(cost);
                    largest = largest.max(cost);
                }
            }
            let filled = u128::from(budget) * u128::from(now) / u128::from(micros(PERIOD));
            prop_assert!(used <= u128::from(budget) + filled + u128::from(largest) + 300);
        }
    }
}
