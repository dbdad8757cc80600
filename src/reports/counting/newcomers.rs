//! Members by their first visit ever.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use entity::token;
use sea_orm::sea_query::{Cond, Expr, ExprTrait as _, Func, Query, SelectStatement};

use crate::reports::{
    Error, Session,
    counts::{By, Place},
    dialect::{Local, from_tokens, readable},
    filter::{TimeBasis, TokenFilter, UserFilter},
    moment::{Clock, Moment, Within},
    roster::Entry,
    selection::users_matching,
    time_zone::Zone,
};

impl Session {
    /// How many members came for the first time ever, by the place of that visit, as far as the filter counts it.
    pub(in crate::reports) async fn newcomers(
        &self,
        filter: &TokenFilter,
        by: By,
    ) -> Result<BTreeMap<Place, i64>, Error> {
        let mut counted = BTreeMap::new();
        let mut within = Within::of(filter.range, filter.zone);
        let mut count = |moment: Moment, members: i64| {
            if filter.contains(moment.date) {
                *counted.entry(by.at(moment)).or_default() += members;
            }
        };
        let count_member = |member: Entry| {
            if let Some(moment) = within.moment(member.first_visit(filter.basis)) {
                count(moment, 1);
            }
        };
        if !self.each_member(&filter.users, filter.zone, count_member).await? {
            let mut clock = Clock::of(filter.zone);
            // One by one: there may be a million of them.
            self.for_each(&self.newcomers_statement(filter), |row| {
                let first: NaiveDateTime = row.try_get_by_index(0)?;
                count(clock.at(first.and_utc().timestamp()), row.try_get_by_index(1)?);
                Ok(())
            })
            .await?;
        }
        Ok(counted)
    }

    /// First visits within the range, in order of time, each with the number of members.
    fn newcomers_statement(&self, filter: &TokenFilter) -> SelectStatement {
        let first = Expr::col("first_visit");
        let local = Local::of(self.backend(), first.clone(), filter.range, filter.zone, self.now().naive_utc());
        Query::select()
            .expr(first)
            .expr(Expr::cust("count(*)"))
            .from_subquery(self.first_visits(&filter.users, filter.zone, filter.basis), "first_visits")
            .cond_where(local.in_range())
            .group_by_col("first_visit")
            .order_by("first_visit", sea_orm::sea_query::Order::Asc)
            .take()
    }

    /// Members with the time of their first visit ever, from the door codes.
    pub(in crate::reports) fn first_visits(&self, users: &UserFilter, zone: Zone, basis: TimeBasis) -> SelectStatement {
        let at = match basis {
            TimeBasis::IssuedAt => token::Column::CreatedAt,
            TimeBasis::UsedAt => token::Column::UsedAt,
        };
        let conditions = users.restricts_users().then_some((users, zone));
        let ids = users.ids().map(|ids| Expr::col(token::Column::UserId).is_in(ids.iter().copied()));
        let mut visits = Query::select();
        from_tokens(&mut visits, self.backend(), &[]);
        visits
            .column(token::Column::UserId)
            .expr_as(Func::min(readable(self.backend(), &Expr::col(at))), "first_visit")
            .and_where(Expr::col(token::Column::UsedAt).is_not_null())
            .cond_where(Cond::all().add_option(ids).add_option(users_matching(
                self.backend(),
                conditions,
                self.now().naive_utc(),
            )))
            .group_by_col(token::Column::UserId)
            .take()
    }
}
