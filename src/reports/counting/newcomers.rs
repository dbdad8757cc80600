//! Members by their first visit ever.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use entity::token;
use sea_orm::sea_query::{CommonTableExpression, Cond, Expr, ExprTrait as _, Func, Query, SelectStatement, WithClause};

use crate::reports::{
    Error, Session,
    counts::{By, Place},
    dialect::{Local, from_tokens, readable},
    filter::{TimeBasis, TokenFilter, UserFilter},
    moment::Clock,
    rollup,
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
        let mut clock = Clock::of(filter.zone);
        let mut counted = BTreeMap::new();
        // One by one: there may be a million of them.
        self.for_each(&self.newcomers_statement(filter, self.rollup.is_usable()), |row| {
            let first: NaiveDateTime = row.try_get_by_index(0)?;
            let moment = clock.at(first.and_utc().timestamp());
            if filter.contains(moment.date) {
                *counted.entry(by.at(moment)).or_default() += row.try_get_by_index::<i64>(1)?;
            }
            Ok(())
        })
        .await?;
        Ok(counted)
    }

    /// First visits within the range, in order of time, each with the number of members.
    fn newcomers_statement(&self, filter: &TokenFilter, from_rollup: bool) -> SelectStatement {
        let (stretches, first_visits) = self.first_visits(&filter.users, filter.zone, filter.basis, from_rollup);
        let first = Expr::col("first_visit");
        let local = Local::of(self.backend(), first.clone(), filter.range, filter.zone, self.now().naive_utc());
        let mut select = Query::select();
        select
            .expr(first)
            .expr(Expr::cust("count(*)"))
            .from_subquery(first_visits, "first_visits")
            .cond_where(local.in_range())
            .group_by_col("first_visit")
            .order_by("first_visit", sea_orm::sea_query::Order::Asc);
        if let Some(stretches) = stretches {
            let mut with = WithClause::new();
            with.cte(stretches);
            select.with_cte(with);
        }
        select
    }

    /// Members with the time of their first visit ever, and the table expression that the statement needs.
    pub(in crate::reports) fn first_visits(
        &self,
        users: &UserFilter,
        zone: Zone,
        basis: TimeBasis,
        from_rollup: bool,
    ) -> (Option<CommonTableExpression>, SelectStatement) {
        let (at, kept) = match basis {
            TimeBasis::IssuedAt => (token::Column::CreatedAt, "first_visit_issued_at"),
            TimeBasis::UsedAt => (token::Column::UsedAt, "first_visit_at"),
        };
        let mut direct = Query::select();
        if from_rollup {
            rollup::from_tokens_in_log(&mut direct, self.backend());
        } else {
            from_tokens(&mut direct, self.backend(), &[]);
        }
        direct
            .column(token::Column::UserId)
            .expr_as(Func::min(readable(self.backend(), &Expr::col(at))), "first_visit")
            .and_where(Expr::col(token::Column::UsedAt).is_not_null())
            .cond_where(
                Cond::all()
                    .add_option(users.ids().map(|ids| Expr::col(token::Column::UserId).is_in(ids.iter().copied()))),
            )
            .group_by_col(token::Column::UserId);
        let conditions = users.restricts_users().then_some((users, zone));
        let matching = users_matching(self.backend(), conditions, self.now().naive_utc());
        if from_rollup {
            let columns = [(kept, "first_visit")];
            let (stretches, all) = rollup::around_log(self.backend(), direct, users.ids(), matching, &columns);
            return (Some(stretches), all);
        }
        (None, direct.cond_where(Cond::all().add_option(matching)).take())
    }
}
