//! Answers that are followed: computed anew when the data changed, once for all who follow the same question.
//! Followers see the latest answer and no queue: whoever is slow skips what lies between.

use std::{
    collections::HashMap,
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
    http::{answers::Question, connections::memory::Memory, error::Failure},
    metrics,
    reports::Reports,
    shutdown::Ending,
};

/// What a follower is told: an answer of GraphQL, as bytes.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) body: Bytes,
    /// Whether the operation was refused: the body has errors only, and nothing comes after it.
    pub(super) refused: bool,
}

impl From<&Failure> for Told {
    fn from(failure: &Failure) -> Self {
        Self { body: failure.body().into(), refused: *failure != Failure::TimedOut }
    }
}

/// The answer to a question and the count of its changes, for all who follow it.
#[derive(Debug, Default)]
struct State {
    told: Option<Arc<Told>>,
    edition: u64,
    /// Whoever asked up to this round has their answer: it was computed after they asked.
    round: u64,
}

struct Topic {
    state: watch::Sender<State>,
    rounds: watch::Sender<u64>,
}

/// Computes the answer to a question, again and again.
pub(super) type Compute = Box<dyn Fn() -> BoxFuture<'static, Told> + Send + Sync>;

/// The questions that are followed. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    reports: Reports,
    topics: Mutex<HashMap<Question, Arc<Topic>>>,
    changes: watch::Sender<()>,
    /// Answers that are computed at once: the other connections to the database are for those who ask.
    turns: Semaphore,
    /// For the answers to questions, and for those on their way: one stays in a buffer for as long as its reader is
    /// slow.
    memory: Memory,
    connections: Arc<Semaphore>,
    /// The least time between two answers to a follower, and between two looks for changes.
    interval: Duration,
    ending: Ending,
}

impl Live {
    /// Follows changes of `reports`. To be called within a runtime.
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
            interval: config.graphql.subscription_interval,
            ending,
        });
        tokio::spawn(look_for_changes(Arc::downgrade(&inner), inner.interval));
        Self(inner)
    }

    /// A place among the connections that stay open; none where there are too many.
    pub(super) fn connect(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.connections).try_acquire_owned().ok()
    }

    /// The memory for live answers.
    pub(super) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// Resolves when connections have to end.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.ending.stop.clone().cancelled_owned()
    }

    /// Runs what the process waits for before it ends.
    pub(super) fn track<F: Future>(&self, task: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.ending.tasks.track_future(task)
    }

    /// Follows the answer to `question`, as those do who follow it already; for the first of them, `compute` tells
    /// how it is computed.
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

    /// Forgets a question; not if somebody follows it by now, unless that is told all there is to tell.
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

/// Tells the topics when the data may have changed, or the quarter of an hour with which days begin.
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
        // What cannot be known may have changed.
        if now.is_none() || now != seen {
            live.changes.send_replace(());
        }
        seen = now;
    }
}

/// Computes the answer to one question for as long as anybody follows it.
async fn keep_up(live: Arc<Inner>, question: Question, topic: Arc<Topic>, compute: Compute) {
    let (mut changes, mut rounds) = (live.changes.subscribe(), topic.rounds.subscribe());
    loop {
        changes.mark_unchanged();
        let mut round = *rounds.borrow_and_update();
        let told = {
            let _turn = live.turns.acquire().await;
            // A task of its own: a panic, which is logged where it happens, must not leave followers waiting.
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

/// One who follows the answer to a question.
#[derive(Debug)]
pub(super) struct Follower {
    state: watch::Receiver<State>,
    round: u64,
    edition: u64,
    interval: Duration,
    not_before: Instant,
}

impl Follower {
    /// The answer as it is now, then each that differs from the one before; of those that come too soon, the last.
    pub(super) async fn next(&mut self) -> Option<Arc<Told>> {
        // Whoever joins has the answer computed anew for all: that is no reason to be told more often.
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
        // Again: what failed is forgotten, and does not keep the next one from asking.
        for _ in 0..2 {
            let mut follower = live.follow(question.clone(), || Box::new(|| Box::pin(async { panic!("on purpose") })));
            let told = follower.next().await.unwrap();
            assert!(told.refused && String::from_utf8_lossy(&told.body).contains("INTERNAL_SERVER_ERROR"));
        }
    }
}
