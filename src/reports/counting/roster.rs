//! All members with their counts of all time, from the rollup: kept here for as long as nothing changes them, so that a report
//! about members needs no pass over them in the database.

mod reading;

use std::sync::Arc;

use self::reading::Reading;
use crate::reports::{
    Error, Session,
    dialect::unpacked_time,
    filter::{TimeBasis, UserFilter},
    ids::Ids,
    moment::Within,
    rollup::{self, Members, roster::CHUNK_BITS},
    time_zone::Zone,
};

/// The most members that are kept, in some 56 bytes each. More than these are read anew for each report.
const KEPT_MAX: usize = 1_000_000;

/// A member. Instants are microseconds since 1970; `None` where there is none in the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) struct Entry {
    pub(in crate::reports) id: i32,
    /// `None` for a member without door codes.
    pub(in crate::reports) counts: Option<AllTime>,
    /// `None` for a member without a row in `users`.
    pub(in crate::reports) user: Option<User>,
}

/// A member's door codes of all time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) struct AllTime {
    id: i32,
    pub(in crate::reports) issued: u32,
    pub(in crate::reports) used: u32,
    first_visit_at: i64,
    last_visit_at: i64,
    first_visit_issued_at: i64,
}

/// What `users` says of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) struct User {
    id: i32,
    pub(in crate::reports) is_active: Option<bool>,
    joined_at: i64,
}

impl Entry {
    /// The first visit ever.
    pub(in crate::reports) fn first_visit(&self, basis: TimeBasis) -> Option<i64> {
        let counts = self.counts?;
        unpacked_time(match basis {
            TimeBasis::IssuedAt => counts.first_visit_issued_at,
            TimeBasis::UsedAt => counts.first_visit_at,
        })
    }

    /// The last visit ever.
    pub(in crate::reports) fn last_visit(&self) -> Option<i64> {
        unpacked_time(self.counts?.last_visit_at)
    }

    /// When the member joined.
    pub(in crate::reports) fn joined(&self) -> Option<i64> {
        unpacked_time(self.user?.joined_at)
    }
}

/// Members with neighbouring ids, in order of ids.
#[derive(Debug, Default)]
pub(in crate::reports) struct Chunk {
    number: i32,
    counts: Vec<AllTime>,
    users: Vec<User>,
}

/// All members: those that are kept, and those that changed since.
#[derive(Debug)]
pub(in crate::reports) struct Roster {
    refresh_id: String,
    /// `None` when `users` changed since.
    users_id: Option<String>,
    chunks: Arc<Vec<Chunk>>,
    changes: Changes,
}

impl Roster {
    fn each(&self, take: impl FnMut(Entry)) {
        merge(&self.chunks, &self.changes, &self.changes.live, take);
    }
}

/// The members that the log names.
#[derive(Debug, Default)]
struct Changes {
    /// Half-open stretches of their ids, in order.
    stretches: Vec<(i64, i64)>,
    /// Their door codes, in order of ids.
    live: Vec<AllTime>,
}

impl Changes {
    fn is_logged(&self, id: i32) -> bool {
        let id = i64::from(id);
        let next = self.stretches.partition_point(|(_, end)| *end <= id);
        self.stretches.get(next).is_some_and(|(begin, _)| *begin <= id)
    }
}

/// Passes the members of these chunks, and those that changed, in order of ids.
fn merge(chunks: &[Chunk], changes: &Changes, live: &[AllTime], mut take: impl FnMut(Entry)) {
    /// Later than any id.
    const NONE: i64 = i64::MAX;
    let has_changes = !changes.stretches.is_empty();
    let mut live = live.iter().peekable();
    let rest = Chunk { number: i32::MAX, ..Chunk::default() };
    for chunk in chunks.iter().chain([&rest]) {
        let until = (i64::from(chunk.number) + 1) << CHUNK_BITS;
        let (mut kept, mut users) = (chunk.counts.iter().peekable(), chunk.users.iter().peekable());
        loop {
            while has_changes && kept.next_if(|counts| changes.is_logged(counts.id)).is_some() {}
            let kept_id = kept.peek().map_or(NONE, |counts| counts.id.into());
            let user_id = users.peek().map_or(NONE, |user| user.id.into());
            let live_id = live.peek().map(|counts| counts.id.into()).filter(|id| *id < until).unwrap_or(NONE);
            let id = kept_id.min(user_id).min(live_id);
            if id == NONE {
                break;
            }
            let counts = if kept_id == id { &mut kept } else { &mut live };
            let entry = Entry {
                id: i32::try_from(id).unwrap_or(i32::MAX),
                counts: if Ord::min(kept_id, live_id) == id { counts.next().copied() } else { None },
                user: if user_id == id { users.next().copied() } else { None },
            };
            take(entry);
        }
    }
}

impl Session {
    /// Passes every member that `users` matches to `take`, in order of ids. Returns false when the rollup cannot answer.
    ///
    /// # Errors
    /// What the database says, once a member was passed.
    pub(in crate::reports) async fn each_member(
        &self,
        users: &UserFilter,
        zone: Zone,
        take: impl FnMut(Entry) + Send,
    ) -> Result<bool, Error> {
        self.each_member_keeping(KEPT_MAX, users, zone, take).await
    }

    async fn each_member_keeping(
        &self,
        kept_max: usize,
        users: &UserFilter,
        zone: Zone,
        mut take: impl FnMut(Entry) + Send,
    ) -> Result<bool, Error> {
        if !self.rollup.is_usable() {
            return Ok(false);
        }
        let mut matching = Matching::of(users, zone);
        // One report reads them; others of the request wait for it.
        let mut shared = self.roster.lock().await;
        if let Some(roster) = shared.as_ref().filter(|_| users.name().is_none()) {
            roster.each(|entry| matching.pass(entry, &mut take));
            return Ok(true);
        }
        let known = shared.take().map(|roster| Members {
            refresh_id: roster.refresh_id.clone(),
            users_id: roster.users_id.clone().unwrap_or_default(),
            chunks: Arc::clone(&roster.chunks),
        });
        let known = known.or_else(|| self.rollup.members());
        let statement = rollup::roster::members(self.backend(), known.as_ref(), users.name());
        let mut reading = Reading::of(&self.rollup, known, matching, kept_max);
        let read = self.for_each_waiting(&statement, |row| reading.row(row, &mut take)).await;
        match read.map(|()| reading.finish(&mut take)) {
            Ok(false) => {
                self.ask_again();
                Ok(false)
            }
            // What was passed already would count twice.
            Err(Error::Database(error)) if self.outlives_failures() && reading.passed.is_none() => {
                self.distrust_rollup(&error);
                Ok(false)
            }
            Err(error) => Err(error),
            Ok(true) => {
                *shared = reading.read.map(Arc::new);
                Ok(true)
            }
        }
    }
}

/// The conditions of a filter.
struct Matching {
    ids: Option<Ids>,
    /// The members whose names contain what is looked for; of those that are not known yet, none do.
    named: Option<Ids>,
    is_active: Option<bool>,
    joined: Option<Within>,
}

impl Matching {
    fn of(users: &UserFilter, zone: Zone) -> Self {
        Self {
            ids: users.ids().map(|ids| ids.iter().copied().collect()),
            named: users.name().map(|_| Ids::default()),
            is_active: users.is_active(),
            joined: (!users.joined().is_unbounded()).then(|| Within::of(users.joined(), zone)),
        }
    }

    fn pass(&mut self, entry: Entry, take: &mut impl FnMut(Entry)) {
        let is_one_of = |ids: &Option<Ids>| ids.as_ref().is_none_or(|ids| ids.contains(entry.id));
        if is_one_of(&self.ids)
            && is_one_of(&self.named)
            && self.is_active.is_none_or(|is_active| entry.user.is_some_and(|user| user.is_active == Some(is_active)))
            && self.joined.as_mut().is_none_or(|joined| joined.moment(entry.joined()).is_some())
        {
            take(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use sea_orm::ConnectionTrait as _;

    use super::*;
    use crate::{
        clock::Clock,
        config::Config,
        database::{Access, Database},
        reports::{Reports, moment::time_of, rollup::Progress},
    };

    #[tokio::test]
    async fn more_members_than_are_kept_are_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::on_file(&folder.path().join("test.db"));
        let database = Database::connect(&config.database, Access::Maintain).await.unwrap();
        let connection = database.connection().clone();
        migration::up(&connection).await.unwrap();
        let member = |id: i32| {
            format!(
                "INSERT INTO users (id, first_name, last_name, joined_at, is_active) VALUES ({id}, 'Ada', 'Lund', '2024-01-01 09:00:00', TRUE);
                 INSERT INTO tokens (user_id, token, created_at, used_at) VALUES ({id}, '------', '2024-03-01 09:00:00', '2024-03-01 09:30:00.25');"
            )
        };
        for id in [1, 2, 9_000, 9_001, 20_000, 40_000] {
            connection.execute_unprepared(&member(id)).await.unwrap();
        }
        rollup::create(&connection, std::time::Duration::from_secs(10)).await.unwrap();
        while rollup::refresh(&connection).await.unwrap() != Progress::Done {}
        // Of a chunk that has members, of one that had none, and of one behind all.
        for id in [3, 30_000, 90_000] {
            connection.execute_unprepared(&member(id)).await.unwrap();
        }
        connection.execute_unprepared("DELETE FROM tokens WHERE user_id = 9001").await.unwrap();
        let reports = Reports::new(database, Clock::system());
        reports.look_for_rollup().await.unwrap();
        let mut expected = Vec::new();
        for kept_max in [KEPT_MAX, 4, 0] {
            for _ in 0..2 {
                let (session, mut passed) = (reports.session(), Vec::new());
                let everybody = UserFilter::default();
                let take = |entry: Entry| passed.push(entry);
                assert!(session.each_member_keeping(kept_max, &everybody, Zone::UTC, take).await.unwrap());
                assert_eq!(session.roster.lock().await.is_some(), kept_max == KEPT_MAX);
                if expected.is_empty() {
                    expected.clone_from(&passed);
                }
                assert_eq!(passed, expected, "{kept_max}");
            }
            reports.session().rollup.keep_members(None);
        }
        // Requests that need them at the same time read them one after the other, and the later ones take what is kept.
        while rollup::refresh(&connection).await.unwrap() != Progress::Done {}
        let both = [reports.session(), reports.session()];
        let everybody = UserFilter::default();
        let turn = both[0].rollup.turn_to_read_members().await;
        let mut members = [0, 0];
        let [first, second] = &mut members;
        let mut asked = Box::pin(futures_util::future::join(
            both[0].each_member(&everybody, Zone::UTC, |_| *first += 1),
            both[1].each_member(&everybody, Zone::UTC, |_| *second += 1),
        ));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(200), &mut asked).await.is_err());
        drop(turn);
        assert!(matches!(asked.await, (Ok(true), Ok(true))));
        assert_eq!(members, [expected.len(), expected.len()]);
        let [first, second] = [both[0].roster.lock().await, both[1].roster.lock().await];
        let chunks = |roster: &Option<Arc<Roster>>| Arc::clone(&roster.as_ref().unwrap().chunks);
        assert!(Arc::ptr_eq(&chunks(&first), &chunks(&second)));
        let ids: Vec<_> = expected.iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [1, 2, 3, 9_000, 9_001, 20_000, 30_000, 40_000, 90_000]);
        let without: Vec<_> = expected.iter().filter(|entry| entry.counts.is_none()).map(|entry| entry.id).collect();
        assert_eq!(without, [9_001]);
        let first = expected[0].first_visit(TimeBasis::UsedAt).and_then(time_of).unwrap();
        assert_eq!(first.to_string(), "2024-03-01 09:30:00.250");
    }

    fn counts_of(id: i32, issued: u32) -> AllTime {
        AllTime { id, issued, used: 0, first_visit_at: 0, last_visit_at: 0, first_visit_issued_at: 0 }
    }

    /// One of a few members in a few chunks.
    fn an_id() -> impl Strategy<Value = i32> {
        prop_oneof![(-20..20_i32).prop_map(|number| number * 1_500), Just(i32::MIN), Just(i32::MAX)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_member_comes_once_with_what_is_true_now(
            kept in proptest::collection::btree_map(an_id(), 1..9_u32, 0..20),
            users in proptest::collection::btree_set(an_id(), 0..20),
            stretches in proptest::collection::btree_set(an_id(), 0..6),
            live in proptest::collection::btree_map(an_id(), 10..19_u32, 0..20),
        ) {
            // Every other place is the end of a stretch.
            let ends: Vec<_> = stretches.into_iter().map(i64::from).collect();
            let stretches: Vec<_> = ends.chunks_exact(2).map(|ends| (ends[0], ends[1])).collect();
            let is_logged = |id: i32| stretches.iter().any(|(from, to)| (*from..*to).contains(&i64::from(id)));
            let live: BTreeMap<_, _> = live.into_iter().filter(|(id, _)| is_logged(*id)).collect();
            let mut expected = BTreeMap::<i32, (Option<u32>, bool)>::new();
            for (id, issued) in kept.iter().filter(|(id, _)| !is_logged(**id)).chain(&live) {
                expected.entry(*id).or_default().0 = Some(*issued);
            }
            for id in &users {
                expected.entry(*id).or_default().1 = true;
            }
            let mut chunks = BTreeMap::<i32, Chunk>::new();
            let number_of = |id: i32| id >> CHUNK_BITS;
            let chunk_of = |id: i32| Chunk { number: number_of(id), ..Chunk::default() };
            for (id, issued) in kept {
                let chunk = chunks.entry(number_of(id)).or_insert_with(|| chunk_of(id));
                chunk.counts.push(counts_of(id, issued));
            }
            for id in users {
                let chunk = chunks.entry(number_of(id)).or_insert_with(|| chunk_of(id));
                chunk.users.push(User { id, is_active: None, joined_at: 0 });
            }
            let chunks: Vec<_> = chunks.into_values().collect();
            let changes = Changes { stretches: stretches.clone(), live: live.iter().map(|(id, issued)| counts_of(*id, *issued)).collect() };
            let mut passed = Vec::new();
            merge(&chunks, &changes, &changes.live, |entry| {
                passed.push((entry.id, (entry.counts.map(|counts| counts.issued), entry.user.is_some())));
            });
            prop_assert_eq!(passed, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
