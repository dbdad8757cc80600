//! The members of a list in an earlier period.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::sea_query::{Asterisk, Expr, ExprTrait as _, Query};

use super::{
    UserVisitsParts,
    kept::{Counted, Ranks},
    name, read_member,
};
use crate::reports::{
    Error, InvalidArgument, Session,
    comparison::{Extent, Sides},
    filter::{TokenFilter, UserVisitsFilter},
    made,
    model::UserVisits,
    range::Comparison,
};

/// A member's door codes on one side of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Placed {
    /// Door codes used.
    pub visits: i64,
    /// Door codes issued.
    pub tokens_issued: i64,
    /// Door codes issued and not used so far.
    pub tokens_unused: i64,
    /// 1 plus the number of members with more visits; `None` for a member without door codes.
    pub rank: Option<i64>,
}

/// A comparison of a list of members with an earlier period.
#[derive(Debug, Clone)]
pub struct UserVisitsComparison(Sides);

/// Members on both sides of a comparison.
#[derive(Debug, Clone)]
pub struct UserVisitsBefore {
    then: TokenFilter,
    by_id: [HashMap<i32, Placed>; 2],
}

impl UserVisitsBefore {
    /// The first and the last local date of the earlier period, and the instant at which it ends.
    #[must_use]
    pub fn dates_and_end(&self) -> (NaiveDate, NaiveDate, DateTime<Utc>) {
        self.then.range.dates_and_end(self.then.zone)
    }

    /// A member in the compared part of the list's range, and in the earlier period.
    #[must_use]
    pub fn member(&self, id: i32) -> [Placed; 2] {
        self.by_id.each_ref().map(|side| side.get(&id).copied().unwrap_or_default())
    }
}

impl Session {
    /// The comparison of a list's range with an earlier period. Of the list's filter, the conditions on members count, and
    /// not those on their visits: a rank is among all of these members.
    ///
    /// # Errors
    /// When the range has no beginning, or is so long that too many days have no counterpart.
    pub fn user_visits_comparison(
        &self,
        filter: &UserVisitsFilter,
        comparison: Comparison,
        extent: Extent,
    ) -> Result<UserVisitsComparison, InvalidArgument> {
        self.sides(&filter.tokens(), comparison, false, extent).map(UserVisitsComparison)
    }

    /// These members in the list's range, as far as it is compared, and in the earlier period.
    ///
    /// # Errors
    /// What the database says.
    pub async fn user_visits_before(
        &self,
        comparison: &UserVisitsComparison,
        ids: &[i32],
    ) -> Result<UserVisitsBefore, Error> {
        made("user_visits_before", async {
            let Sides { now, then, .. } = &comparison.0;
            let by_id = [self.placed(now, ids).await?, self.placed(then, ids).await?];
            Ok(UserVisitsBefore { then: then.clone(), by_id })
        })
        .await
    }

    async fn placed(&self, tokens: &TokenFilter, ids: &[i32]) -> Result<HashMap<i32, Placed>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let filter = UserVisitsFilter {
            range: tokens.range,
            left_out: tokens.left_out.clone(),
            users: tokens.users.clone(),
            zone: tokens.zone,
            basis: tokens.basis,
            ..UserVisitsFilter::default()
        };
        let (mut rows, mut ranks) = (Vec::new(), Ranks::default());
        let own: HashSet<_> = ids.iter().copied().collect();
        let take = |member: Counted| {
            ranks.add(member.visits);
            if own.contains(&member.user_id) {
                rows.push(member.row());
            }
        };
        if self.kept_members(&filter, take).await? {
            ranks.rank(&mut rows);
        } else {
            rows = self.counted_rows(&filter, ids).await?;
        }
        let placed = |row: UserVisits| {
            let UserVisits { user_id, visits, tokens_issued, tokens_unused, rank, .. } = row;
            (user_id, Placed { visits, tokens_issued, tokens_unused, rank: Some(rank) })
        };
        Ok(rows.into_iter().map(placed).collect())
    }

    /// These members, with their ranks among all that the filter matches, from the door codes.
    async fn counted_rows(&self, filter: &UserVisitsFilter, ids: &[i32]) -> Result<Vec<UserVisits>, Error> {
        let parts = UserVisitsParts { rank: true, ..UserVisitsParts::default() };
        let mut rows = Query::select();
        rows.expr(Expr::col(Asterisk))
            .from(name::MEMBERS)
            .and_where(Expr::col(name::USER_ID).is_in(ids.iter().copied()));
        let statement = rows.with_cte(self.listed(filter, parts, false)).take();
        self.query_all(&statement).await?.iter().map(|row| read_member(row, parts)).collect()
    }
}
