//! How often members come: the number of members for each number of visits.

use std::collections::BTreeMap;

use entity::token;
use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query, SelectStatement};

use super::{Error, Session, filter::TokenFilter, ids::Tally, made, rollup::Wanted, selection::tokens};

/// Members with the same number of visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequency {
    /// Their number of visits, 1 or more.
    pub visits: i64,
    /// How many members have this number of visits.
    pub members: i64,
    /// How many members have this number of visits or more.
    pub members_at_least: i64,
}

impl Session {
    /// Members by number of visits, ascending, without members who have none. There are few rows: `n` rows need at
    /// least `n * (n + 1) / 2` visits.
    ///
    /// # Errors
    /// What the database says.
    pub async fn frequency(&self, filter: &TokenFilter) -> Result<Vec<Frequency>, Error> {
        made("frequency", async {
            let mut rows = match self.kept_frequency(filter).await? {
                Some(rows) => rows,
                None => self.counted_frequency(filter).await?,
            };
            let mut at_least = 0;
            for row in rows.iter_mut().rev() {
                at_least += row.members;
                row.members_at_least = at_least;
            }
            Ok(rows)
        })
        .await
    }

    /// From the rollup; `None` when it cannot answer.
    async fn kept_frequency(&self, filter: &TokenFilter) -> Result<Option<Vec<Frequency>>, Error> {
        let mut visits = [Tally::default()];
        let wanted = Wanted { members: true, ..Wanted::visits(filter) };
        if !self.codes(filter, wanted, |codes| visits[0].add(codes.visitors)).await? {
            return Ok(None);
        }
        let mut members = BTreeMap::<u32, i64>::new();
        Tally::each(&visits, |_, [visits]| *members.entry(visits).or_default() += 1);
        let row =
            |(visits, members): (u32, i64)| Frequency { visits: visits.into(), members, members_at_least: members };
        Ok(Some(members.into_iter().map(row).collect()))
    }

    async fn counted_frequency(&self, filter: &TokenFilter) -> Result<Vec<Frequency>, Error> {
        let mut rows = Vec::new();
        for row in self.query_all(&self.frequency_statement(filter)).await? {
            let members = row.try_get("", "members")?;
            rows.push(Frequency { visits: row.try_get("", "visits")?, members, members_at_least: members });
        }
        Ok(rows)
    }

    fn frequency_statement(&self, filter: &TokenFilter) -> SelectStatement {
        let mut members = tokens(&self.local(filter), filter);
        members
            .expr_as(Expr::cust("count(*)"), "visits")
            .and_where(Expr::col(token::Column::UsedAt).is_not_null())
            .group_by_col(token::Column::UserId);
        Query::select()
            .column("visits")
            .expr_as(Expr::cust("count(*)"), "members")
            .from_subquery(members, "members")
            .group_by_col("visits")
            .order_by("visits", Order::Asc)
            .take()
    }
}
