//! Counts different members among visits: from the rollup's sets of members if possible, otherwise with a `GROUP BY`.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use entity::token;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};

use crate::reports::{Error, Session, filter::TokenFilter, rollup, selection::tokens};

/// A set of members. It takes memory for at most twice the number of members, plus [`Self::SLACK`].
#[derive(Debug, Default)]
pub(in crate::reports) struct MemberSet {
    ids: Vec<i32>,
    /// This many ids from the beginning are sorted and distinct.
    distinct: usize,
}

impl MemberSet {
    /// How many ids are added before they are sorted.
    const SLACK: usize = 65_536;

    pub(in crate::reports) fn add(&mut self, ids: impl Iterator<Item = i32>) {
        self.ids.extend(ids);
        if self.ids.len() > 2 * self.distinct + Self::SLACK {
            self.tidy();
        }
    }

    /// The distinct ids, sorted.
    pub(in crate::reports) fn into_ids(mut self) -> Vec<i32> {
        self.tidy();
        self.ids
    }

    fn tidy(&mut self) {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.distinct = self.ids.len();
    }
}

impl Session {
    /// The number of different members among the visits. Grouping by member and counting the groups is several times as
    /// fast as `COUNT(DISTINCT)`, which sorts every visit.
    pub(in crate::reports) async fn visitors(&self, filter: &TokenFilter) -> Result<i64, Error> {
        let mut kept = 0;
        if self.kept_visitors(filter, |_| (), |(), members| kept = members.len()).await? {
            return Ok(i64::try_from(kept).unwrap_or(i64::MAX));
        }
        let mut members = tokens(&self.local(filter), filter);
        members
            .column(token::Column::UserId)
            .and_where(Expr::col(token::Column::UsedAt).is_not_null())
            .group_by_col(token::Column::UserId);
        let statement = Query::select()
            .expr_as(Expr::col(token::Column::UserId).count(), "visitors")
            .from_subquery(members, "members")
            .take();
        let rows = self.query_all(&statement).await?;
        rows.first().map_or(Ok(0), |row| Ok(row.try_get("", "visitors")?))
    }

    /// The different members at each place, in order of time, from the rollup's sets of members. `place` maps a time in
    /// UTC to its place; `finish` gets the members of a place once it is complete. Returns false when the rollup cannot
    /// answer.
    pub(in crate::reports) async fn kept_visitors<P: Ord + Copy + Send>(
        &self,
        filter: &TokenFilter,
        place: impl Fn(NaiveDateTime) -> P + Send + Sync,
        mut finish: impl FnMut(P, Vec<i32>) + Send,
    ) -> Result<bool, Error> {
        if !self.rollup.is_usable() {
            return Ok(false);
        }
        let Some(statement) = rollup::visitors(filter) else { return Ok(false) };
        let mut open = BTreeMap::<P, MemberSet>::new();
        let mut is_begun = false;
        let read = self.for_each(&statement, |row| {
            let at: NaiveDateTime = row.try_get("", "at")?;
            if !filter.contains(filter.zone.date_at(at.and_utc())) {
                return Ok(());
            }
            let members: Vec<u8> = row.try_get("", "members")?;
            let ids = members.chunks_exact(4).filter_map(|id| id.try_into().ok()).map(i32::from_be_bytes);
            open.entry(place(at)).or_default().add(ids);
            // When clocks are set back across midnight, two places alternate.
            while open.len() > 2
                && let Some((place, members)) = open.pop_first()
            {
                is_begun = true;
                finish(place, members.into_ids());
            }
            Ok(())
        });
        match read.await {
            Err(Error::Database(error)) if !self.shares => {
                self.distrust_rollup(&error);
                // Members of complete places are counted already; counted once more, they would be wrong.
                return if is_begun { Err(Error::Database(error)) } else { Ok(false) };
            }
            read => read?,
        }
        for (place, members) in open {
            finish(place, members.into_ids());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn members_count_once(added in proptest::collection::vec(proptest::collection::vec(-50_i32..50, 0..20), 0..20)) {
            let mut set = MemberSet::default();
            for ids in &added {
                set.add(ids.iter().copied());
            }
            let expected: std::collections::BTreeSet<_> = added.into_iter().flatten().collect();
            prop_assert_eq!(set.into_ids(), expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn members_who_come_all_the_time_take_no_more_room() {
        let mut set = MemberSet::default();
        for _ in 0..1_000 {
            set.add(0..1_000);
        }
        assert!(set.ids.capacity() < 4 * MemberSet::SLACK);
    }
}
