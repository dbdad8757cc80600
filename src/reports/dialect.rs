//! The only file that asks which database it is talking to.

use chrono::{NaiveDate, NaiveDateTime};
use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, TransactionTrait,
    sea_query::{CaseStatement, Cond, Condition, Expr, ExprTrait, Func},
};

use super::{
    filter::DateRange,
    time_zone::{Segment, Zone},
};

/// Begins what every statement of one answer reads from: one snapshot, read only.
pub(super) async fn begin_snapshot(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    match connection.get_database_backend() {
        // A deferred transaction in WAL mode keeps the snapshot of its first read.
        DbBackend::Sqlite => connection.begin().await,
        _ => connection.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)).await,
    }
}

/// The local date of a UTC column. `now` lies where most rows do, so its segment is tried first.
pub(super) fn local_date(backend: DbBackend, column: &Expr, range: DateRange, zone: Zone, now: NaiveDateTime) -> Expr {
    let bounds = range.bounds(zone);
    let segments = zone.segments(bounds.from, bounds.to);
    let present = segments.partition_point(|segment| segment.start <= now).clamp(1, segments.len());
    let (past, future) = segments.split_at(present);
    let shifted = |segment: &Segment| shifted_date(backend, column.clone(), segment.offset);
    let [oldest, past @ ..] = past else { return shifted(&segments[0]) };
    let until_now = past
        .iter()
        .rev()
        .fold(CaseStatement::new(), |case, segment| case.case(column.clone().gte(segment.start), shifted(segment)));
    let until_now = if past.is_empty() { shifted(oldest) } else { until_now.finally(shifted(oldest)).into() };
    let [next, ..] = future else { return until_now };
    let case = CaseStatement::new().case(column.clone().lt(next.start), until_now);
    let case =
        future.windows(2).fold(case, |case, pair| case.case(column.clone().lt(pair[1].start), shifted(&pair[0])));
    case.finally(shifted(future.last().unwrap_or(next))).into()
}

fn shifted_date(backend: DbBackend, column: Expr, offset: i32) -> Expr {
    match (backend, offset) {
        // The first ten characters are the date; SQLite would round fractions of a second upwards.
        (DbBackend::Sqlite, 0) => Func::cust("substr").arg(column).arg(1).arg(10).into(),
        (DbBackend::Sqlite, _) => Func::cust("date")
            .arg(Func::cust("substr").arg(column).arg(1).arg(19))
            .arg(format!("{offset:+} seconds"))
            .into(),
        (_, 0) => column.cast_as("date"),
        _ => {
            let interval = Expr::cust_with_values("make_interval(secs => $1)", [f64::from(offset)]);
            column.add(interval).cast_as("date")
        }
    }
}

/// Whether a UTC column lies in a range of local dates: bounds on the raw column, so that an index
/// serves; the local date itself is looked at only where bounds cannot tell.
pub(super) fn in_range(
    backend: DbBackend,
    column: &Expr,
    range: DateRange,
    zone: Zone,
    now: NaiveDateTime,
) -> Condition {
    let bounds = range.bounds(zone);
    let date = |limit: Option<NaiveDate>| {
        limit.filter(|_| !bounds.exact).map(|limit| (local_date(backend, column, range, zone, now), limit))
    };
    Cond::all()
        .add_option(bounds.from.map(|from| column.clone().gte(from)))
        .add_option(bounds.to.map(|to| column.clone().lt(to)))
        .add_option(date(range.from()).map(|(date, from)| date.gte(from)))
        .add_option(date(range.to()).map(|(date, to)| date.lte(to)))
}
