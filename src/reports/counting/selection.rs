//! Filters as SQL conditions on the two tables.

use chrono::NaiveDateTime;
use entity::{token, user};
use sea_orm::{
    DbBackend,
    sea_query::{CommonTableExpression, Cond, Condition, Expr, ExprTrait as _, IntoIden, Query, SelectStatement},
};

use crate::reports::{
    dialect::{Local, from_tokens, from_users},
    filter::{TokenFilter, UserFilter},
    names,
    time_zone::Zone,
};

/// Selects the door codes that match `filter`, at the time of `local`, without columns yet.
pub(in crate::reports) fn tokens(local: &Local, filter: &TokenFilter) -> SelectStatement {
    let users = filter.users.restricts_users().then_some((&filter.users, filter.zone));
    let mut select = Query::select();
    from_tokens(&mut select, local.backend(), &[local]);
    select
        .cond_where(
            local
                .in_range()
                .add(local.outside(&filter.left_out))
                .add_option(local.on(filter.weekdays))
                .add_option(filter.users.ids().map(|ids| Expr::col(token::Column::UserId).is_in(ids.iter().copied())))
                .add_option(users_matching(local.backend(), users, local.now())),
        )
        .take()
}

/// The condition that a door code belongs to a matching member.
pub(in crate::reports) fn users_matching(
    backend: DbBackend,
    users: Option<(&UserFilter, Zone)>,
    now: NaiveDateTime,
) -> Option<Expr> {
    let (users, zone) = users?;
    let mut matching = Query::select();
    from_users(&mut matching, backend);
    matching.column(user::Column::Id).cond_where(user_condition(backend, users, zone, now));
    Some(Expr::col(token::Column::UserId).in_subquery(matching))
}

/// The condition that a member matches.
pub(in crate::reports) fn user_condition(
    backend: DbBackend,
    users: &UserFilter,
    zone: Zone,
    now: NaiveDateTime,
) -> Condition {
    let joined_at = Expr::col((user::Entity, user::Column::JoinedAt));
    let is_active = Expr::col((user::Entity, user::Column::IsActive));
    let joined =
        (!users.joined().is_unbounded()).then(|| Local::of(backend, joined_at, users.joined(), zone, now).in_range());
    Cond::all()
        .add_option(joined)
        .add_option(users.is_active().map(|active| is_active.eq(active)))
        .add_option(users.name().map(|part| names::contains(backend, part)))
}

/// A table expression of a statement (`WITH`).
pub(in crate::reports) fn cte(name: impl IntoIden, query: SelectStatement) -> CommonTableExpression {
    let mut cte = CommonTableExpression::new();
    cte.table_name(name).query(query);
    cte
}
