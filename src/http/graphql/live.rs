//! Live answers: computed again when the data changes, once for all subscribers with the same question. A subscriber
//! gets the latest answer and has no queue, so a slow one skips answers.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    config::Config,
    graphql::execution::limits::Limit,
    http::{
        answers::Question,
        connections::{
            memory::Memory,
            shares::{Share, Shares},
        },
        error::Failure,
    },
    metrics,
    reports::Reports,
    shutdown::Ending,
};

/// An answer to a subscriber: a GraphQL response, as bytes.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) body: Bytes,
    /// Whether the operation was refused: the body has only errors, and no answer follows.
    pub(super) refused: bool,
}

impl From<&Failure> for Told {
    fn from(failure: &Failure) -> Self {
        Self { body: failure.body().into(), refused: *failure != Failure::TimedOut }
    }
}

/// The current answer to a question, shared by all its followers, and the number of its changes.
#[derive(Debug, Default)]
struct State {
    told: Option<Arc<Told>>,
    edition: u64,
    /// Followers up to this round have a current answer: it was computed after they joined.
    round: u64,
}

struct Topic {
    state: watch::Sender<State>,
    rounds: watch::Sender<u64>,
}

/// Computes the current answer to a question each time it is called.
pub(super) type Compute = Box<dyn Fn() -> BoxFuture<'static, Told> + Send + Sync>;

/// All questions that have followers. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    reports: Reports,
    topics: Mutex<HashMap<Question, Arc<Topic>>>,
    changes: watch::Sender<()>,
    /// The number of live answers that are computed at the same time: half of the database's connections, at least 1.
    /// The others remain for ordinary requests.
    turns: Semaphore,
    /// The memory for current answers, and for answers that are being sent: an answer stays in a buffer as long as its
    /// reader is slow.
    memory: Memory,
    connections: Arc<Semaphore>,
    connections_max: usize,
    shares: Shares,
    /// The least time between two answers to a follower, and between two checks for changes.
    interval: Duration,
    ending: Ending,
}

impl Live {
    /// Follows the changes of `reports`. Must be called within a Tokio runtime.
    pub(in crate::http) fn new(reports: Reports, config: &Config, ending: Ending) -> Self {
        let limits = &config.graphql.limits;
        let turns = usize::try_from(config.database.max_connections / 2).unwrap_or_default().max(1);
        let inner = Arc::new(Inner {
            reports,
            topics: Mutex::default(),
            changes: watch::Sender::default(),
            turns: Semaphore::new(turns),
            memory: Memory::new(limits.live_bytes),
            connections: Arc::new(Semaphore::new(limits.live_connections)),
            connections_max: limits.live_connections,
            shares: Shares::new(limits.live_connections, config.server.address_percent),
            interval: config.graphql.subscription_interval,
            ending,
        });
        tokio::spawn(look_for_changes(Arc::downgrade(&inner), inner.interval));
        Self(inner)
    }

    /// A place among the connections that stay open, for a client of this address.
    pub(super) fn connect(&self, address: Option<IpAddr>) -> Result<(OwnedSemaphorePermit, Share), Failure> {
        let Inner { connections, connections_max, shares, .. } = &*self.0;
        let share = shares.take(address);
        let share = share.ok_or(Failure::Limit(Limit::ConnectionsPerAddress, shares.most()))?;
        let place = Arc::clone(connections).try_acquire_owned();
        Ok((place.map_err(|_| Failure::Limit(Limit::Connections, *connections_max))?, share))
    }

    /// The memory for live answers.
    pub(super) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// Resolves when the gateway stops and connections must end.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.ending.stop.clone().cancelled_owned()
    }

    /// Runs a task that the process waits for before it ends.
    pub(super) fn track<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.ending.tasks.track_future(task)
    }

    /// Follows the answer to `question`. Followers of the same question share its answer; `compute` is only called for
    /// the first of them.
    pub(super) fn follow(&self, question: Question, compute: impl FnOnce() -> Compute) -> Follower {
        let mut topics = self.0.topics();
        let topic = topics.entry(question.clone()).or_insert_with(|| {
            let topic = Arc::new(Topic { state: watch::Sender::default(), rounds: watch::Sender::default() });
            tokio::spawn(keep_up(Arc::clone(&self.0), question, Arc::clone(&topic), compute()));
            topic
        });
        let state = topic.state.subscribe();
        topic.rounds.send_modify(|round| *round += 1);
        let round = *topic.rounds.borrow();
        let follower = Follower { state, round, edition: 0, interval: self.0.interval, not_before: Instant::now() };
        metrics::questions_followed(topics.len());
        follower
    }
}

impl Inner {
    fn topics(&self) -> MutexGuard<'_, HashMap<Question, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a question that has no followers, or whose last answer was given (`is_over`). Returns whether it was
    /// removed.
    fn forget(&self, question: &Question, topic: &Topic, is_over: bool) -> bool {
        let mut topics = self.topics();
        let forgets = is_over || topic.state.receiver_count() == 0;
        if forgets {
            topics.remove(question);
            metrics::questions_followed(topics.len());
        }
        forgets
    }
}

/// Notifies all topics when the data may have changed, or when a quarter of an hour began: in every time zone, days
/// begin at a quarter of an hour.
async fn look_for_changes(live: Weak<Inner>, period: Duration) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        ticks.tick().await;
        let Some(live) = live.upgrade() else { return };
        if live.changes.receiver_count() == 0 {
            continue;
        }
        let now = live.reports.version().await.map(|version| (version, live.reports.quarter()));
        // A version that cannot be read may be a new one.
        if now.is_none() || now != seen {
            live.changes.send_replace(());
        }
        seen = now;
    }
}

/// Computes the answer to one question as long as it has followers.
async fn keep_up(live: Arc<Inner>, question: Question, topic: Arc<Topic>, compute: Compute) {
    let (mut changes, mut rounds) = (live.changes.subscribe(), topic.rounds.subscribe());
    loop {
        changes.mark_unchanged();
        let mut round = *rounds.borrow_and_update();
        let told = {
            let _turn = live.turns.acquire().await;
            // In a task of its own, so that a panic does not leave followers waiting. The panic is logged where it
            // happens.
            tokio::spawn(compute()).await.unwrap_or_else(|_| Told::from(&Failure::Internal))
        };
        let is_over = told.refused;
        if is_over {
            live.forget(&question, &topic, true);
            round = u64::MAX;
        }
        topic.state.send_modify(|state| {
            if state.told.as_ref().is_none_or(|before| before.body != told.body) {
                state.told = Some(Arc::new(told));
                state.edition += 1;
            }
            state.round = round;
        });
        if is_over {
            return;
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = rounds.changed() => {}
            () = topic.state.closed() => if live.forget(&question, &topic, false) { return },
        }
    }
}

/// A subscriber to the answer of a question.
#[derive(Debug)]
pub(super) struct Follower {
    state: watch::Receiver<State>,
    round: u64,
    edition: u64,
    interval: Duration,
    not_before: Instant,
}

impl Follower {
    /// The current answer first, then each answer that differs from the one before. Answers closer together than the
    /// interval are skipped, except the last.
    pub(super) async fn next(&mut self) -> Option<Arc<Told>> {
        // A new follower makes the answer be computed again for all; the others must not get answers more often because
        // of it.
        sleep_until(self.not_before).await;
        let state =
            self.state.wait_for(|state| state.round >= self.round && state.edition > self.edition).await.ok()?;
        self.edition = state.edition;
        self.not_before = Instant::now() + self.interval;
        state.told.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        database::{Access, Database},
    };

    #[tokio::test]
    async fn a_panic_is_told_to_whoever_follows() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::on_file(&folder.path().join("test.db"));
        let database = Database::connect(&config.database, Access::Maintain).await.unwrap();
        let live = Live::new(Reports::new(database, Clock::system()), &config, Ending::default());
        let question = Question { text: "".into(), details: String::new() };
        // Twice: a failed question is removed, so that it can be asked again.
        for _ in 0..2 {
            let mut follower = live.follow(question.clone(), || Box::new(|| Box::pin(async { panic!("on purpose") })));
            let told = follower.next().await.unwrap();
            assert!(told.refused && String::from_utf8_lossy(&told.body).contains("INTERNAL_SERVER_ERROR"));
        }
    }
}
