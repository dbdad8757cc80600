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

/// The local date of a UTC column.
pub(super) fn local_date(backend: DbBackend, column: &Expr, range: DateRange, zone: Zone, now: NaiveDateTime) -> Expr {
    let bounds = range.bounds(zone);
    let segments = zone.segments(bounds.from, bounds.to);
    if let [Segment { offset: 0, .. }] = segments[..] {
        return match backend {
            DbBackend::Sqlite => Func::cust("substr").arg(column.clone()).arg(1).arg(10).into(),
            _ => column.clone().cast_as("date"),
        };
    }
    let offset = by_segment(column, &segments, now, |offset| match backend {
        DbBackend::Sqlite => Expr::val(format!("{offset:+} seconds")),
        _ => Expr::val(f64::from(offset)),
    });
    match backend {
        // Whole seconds only: SQLite would round fractions upwards, into the next day.
        DbBackend::Sqlite => {
            Func::cust("date").arg(Func::cust("substr").arg(column.clone()).arg(1).arg(19)).arg(offset).into()
        }
        _ => column.clone().add(Expr::cust_with_expr("make_interval(secs => $1)", offset)).cast_as("date"),
    }
}

/// What holds in the segment that a UTC column lies in. `now` lies where most rows do: its segment is
/// tried first, then the past backwards, and only then the future.
fn by_segment(column: &Expr, segments: &[Segment], now: NaiveDateTime, value: impl Fn(i32) -> Expr) -> Expr {
    let present = segments.partition_point(|segment| segment.start <= now).clamp(1, segments.len());
    let (known, future) = segments.split_at(present);
    let value = |segment: &Segment| value(segment.offset);
    let until_now = match known {
        [oldest, later @ ..] if !later.is_empty() => later
            .iter()
            .rev()
            .fold(CaseStatement::new(), |case, segment| case.case(column.clone().gte(segment.start), value(segment)))
            .finally(value(oldest))
            .into(),
        _ => value(&known[0]),
    };
    let [next, ..] = future else { return until_now };
    let last = future.last().unwrap_or(next);
    let first = CaseStatement::new().case(column.clone().lt(next.start), until_now);
    let cases =
        future.windows(2).fold(first, |case, pair| case.case(column.clone().lt(pair[1].start), value(&pair[0])));
    cases.finally(value(last)).into()
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
