//! The SQL of reports that differs between PostgreSQL and SQLite.

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, Weekday};
use entity::{token, user};
use sea_orm::{
    AccessMode, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityName as _, EntityTrait, IdenStatic,
    IsolationLevel, TransactionTrait,
    sea_query::{
        CaseStatement, Cond, Condition, Expr, ExprTrait, Func, IntoColumnRef, JoinType, Query, SelectStatement,
        UnionType,
    },
};

use crate::reports::{
    calendar::{Calendar, Granularity},
    filter::Weekdays,
    range::DateRange,
    time_zone::{Segment, UtcBounds, Zone},
};

/// The first and last instant that reports show: the years 1 to 9999 in UTC. Other values, such as infinity, lie on no
/// date and in no range; where an instant is shown, they are null.
pub(in crate::reports) const FIRST: NaiveDateTime = NaiveDate::from_ymd_opt(1, 1, 1).unwrap().and_time(NaiveTime::MIN);
pub(in crate::reports) const LAST: NaiveDateTime =
    NaiveDate::from_ymd_opt(9999, 12, 31).unwrap().and_hms_micro_opt(23, 59, 59, 999_999).unwrap();

/// Selects from the door codes. On SQLite, only times near one of these ranges are converted, or all without a range;
/// the statement has to select the range itself.
pub(in crate::reports) fn from_tokens(select: &mut SelectStatement, backend: DbBackend, ranges: &[&Local]) {
    if backend != DbBackend::Sqlite {
        select.from(token::Entity);
        return;
    }
    let near: Option<Vec<_>> = ranges.iter().map(|local| local.near()).collect();
    // A condition with OR would scan the table; each of these reads a part of an index.
    let near = near.unwrap_or_default().into_iter().flatten();
    from_tokens_that(select, ids_of_any(near).map(|ids| Expr::col(token::Column::Id).in_subquery(ids)));
}

/// Selects from the door codes in SQLite that meet a condition on what is stored.
pub(in crate::reports) fn from_tokens_that(select: &mut SelectStatement, condition: Option<Expr>) {
    let times = [token::Column::CreatedAt, token::Column::UsedAt];
    let others = [token::Column::Id, token::Column::UserId];
    let mut rows = comparable(token::Entity, &others, &times);
    rows.cond_where(Cond::all().add_option(condition));
    select.from_subquery(rows, token::Entity.table_name());
}

/// Selects from the door codes in SQLite whose times in a column can lie within these bounds, as [`from_tokens`] does.
pub(in crate::reports) fn from_tokens_near(select: &mut SelectStatement, column: token::Column, bounds: UtcBounds) {
    let near = near(&Expr::col(column), bounds).into_iter().flatten();
    from_tokens_that(select, ids_of_any(near).map(|ids| Expr::col(token::Column::Id).in_subquery(ids)));
}

/// The ids of the door codes that meet any of these conditions; `None` without a condition.
fn ids_of_any(conditions: impl Iterator<Item = Condition>) -> Option<SelectStatement> {
    let mut each = conditions
        .map(|condition| Query::select().column(token::Column::Id).from(token::Entity).cond_where(condition).take());
    let mut ids = each.next()?;
    for more in each {
        ids.union(UnionType::All, more);
    }
    Some(ids)
}

/// The ids of the door codes in SQLite whose times in a column can lie on one of the UTC dates that the table `days`
/// lists as `day`. Most are on the date that their text begins with; a text may also begin with up to four days before
/// (`2023-02-31 24:00`), or with no date.
pub(in crate::reports) fn ids_on_days(column: token::Column) -> SelectStatement {
    let name = column.as_str();
    let on = Expr::cust(format!(
        "tokens.{name} >= date(day, '-4 days') AND tokens.{name} < day || '~' \
         AND (tokens.{name} >= day OR substr(tokens.{name}, 9, 2) > '28' OR instr(tokens.{name}, '24:'))"
    ));
    let mut ids = Query::select();
    ids.column((token::Entity, token::Column::Id)).from("days").cross_join(token::Entity).and_where(on);
    let odd = Query::select()
        .column(token::Column::Id)
        .from(token::Entity)
        .and_where(is_odd(&Expr::col(column)))
        .and_where(Expr::cust("EXISTS (SELECT 1 FROM days)"))
        .take();
    ids.union(UnionType::All, odd);
    ids
}

/// The UTC date on which reports see what a column of SQLite holds, as SQL; null for most of what is no instant.
pub(in crate::reports) fn utc_date(column: &str) -> String {
    format!("strftime('%Y-%m-%d', substr({}, 1, 19), '+0 seconds')", plain(column))
}

/// What a column of SQLite holds, with a space before the time of day, and without a zone that says UTC.
fn plain(column: &str) -> String {
    format!("rtrim(replace(replace({column}, 'T', ' '), '+00:00', ''), 'Z')")
}

/// Selects from the members.
pub(in crate::reports) fn from_users(select: &mut SelectStatement, backend: DbBackend) {
    match backend {
        DbBackend::Sqlite => select.from_subquery(comparable_users(), user::Entity.table_name()),
        _ => select.from(user::Entity),
    };
}

/// Selects from the members if a condition is true that does not depend on them: otherwise, none is looked at.
pub(in crate::reports) fn from_users_if(select: &mut SelectStatement, backend: DbBackend, condition: Expr) {
    match backend {
        DbBackend::Sqlite => {
            select.from_subquery(comparable_users().and_where(condition).take(), user::Entity.table_name())
        }
        _ => select.from(user::Entity).and_where(condition),
    };
}

/// Joins the members.
pub(in crate::reports) fn join_users(select: &mut SelectStatement, backend: DbBackend, join: JoinType, on: Expr) {
    match backend {
        DbBackend::Sqlite => select.join_subquery(join, comparable_users(), user::Entity.table_name(), on),
        _ => select.join(join, user::Entity, on),
    };
}

fn comparable_users() -> SelectStatement {
    use user::Column::{FirstName, Id, IsActive, JoinedAt, LastName};
    comparable(user::Entity, &[Id, FirstName, LastName, IsActive], &[JoinedAt])
}

/// SQLite stores instants as text, and other programs write it in other forms. This subquery converts them to one form
/// that sorts by time, `2024-03-01 09:30:00.000000`. Texts that are not an instant sort last; words, such as `now`, are
/// none, though SQLite takes some for the present. `LIMIT` keeps SQLite from merging the subquery, so each value is
/// converted once.
fn comparable<E: EntityTrait, C: IdenStatic + IntoColumnRef + Copy>(
    table: E,
    others: &[C],
    times: &[C],
) -> SelectStatement {
    let mut rows = Query::select();
    rows.columns(others.iter().copied()).from(table).limit(i64::MAX.unsigned_abs());
    for time in times {
        let column = time.as_str();
        let text = plain(column);
        let fraction = format!(
            "CASE substr({text}, 20, 1) WHEN '.' THEN substr(substr({text}, 21, 6) || '000000', 1, 6) ELSE '000000' END"
        );
        // Most values already have this form, except for trailing zeros. `datetime` checks the value, and leaves out
        // the fraction; with a change, even by nothing, it takes 24:00 for 0:00 of the next day.
        let is_usual = |lengths: &str| {
            format!("length({column}) {lengths} AND datetime({column}, '+0 seconds') = substr({column}, 1, 19)")
        };
        let comparable = format!(
            "CASE WHEN {column} IS NULL THEN NULL WHEN {} THEN {column} \
             WHEN {} THEN {column} || substr('.000000', length({column}) - 18) \
             WHEN {text} GLOB '[A-Za-z]*' THEN '~' ELSE \
             coalesce(strftime('%Y-%m-%d %H:%M:%S', substr({text}, 1, 19), '+0 seconds') || '.' || {fraction}, '~') END",
            is_usual("= 26"),
            is_usual("IN (19, 23)"),
        );
        rows.expr_as(Expr::cust(comparable), column);
    }
    rows
}

/// A literal instant to compare with. On SQLite, a text in the form of [`comparable`].
pub(in crate::reports) fn instant(backend: DbBackend, time: NaiveDateTime) -> Expr {
    match backend {
        DbBackend::Sqlite => Expr::val(time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()),
        _ => Expr::val(time),
    }
}

/// A column of instants; null where the value is not an instant in the years 1 to 9999.
pub(in crate::reports) fn readable(backend: DbBackend, column: &Expr) -> Expr {
    let is_readable =
        Cond::all().add(column.clone().gte(instant(backend, FIRST))).add(column.clone().lte(instant(backend, LAST)));
    CaseStatement::new().case(is_readable, column.clone()).into()
}

/// Begins a transaction in which all statements read the same snapshot and write nothing.
pub(in crate::reports) async fn begin_snapshot(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    match connection.get_database_backend() {
        // A deferred transaction in WAL mode keeps the snapshot of its first read.
        DbBackend::Sqlite => connection.begin().await,
        _ => connection.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)).await,
    }
}

/// The texts in SQLite that can be an instant within these bounds, judged as they are stored, as two conditions; `None`
/// without bounds. A form of an instant with a `-` in the fifth place begins with its date, or with up to four days before
/// (`2023-02-31 24:00`). Texts without can be any instant.
fn near(column: &Expr, bounds: UtcBounds) -> Option<[Condition; 2]> {
    let day = |instant: NaiveDateTime| instant.format("%Y-%m-%d").to_string();
    let from = bounds.from.and_then(|from| from.checked_sub_days(Days::new(4))).filter(|from| *from >= FIRST);
    let to = bounds.to.and_then(|to| to.checked_add_days(Days::new(2))).filter(|to| *to <= LAST);
    if from.is_none() && to.is_none() {
        return None;
    }
    let is_within = Cond::all()
        .add_option(from.map(|from| column.clone().gte(day(from))))
        .add_option(to.map(|to| column.clone().lt(day(to))));
    Some([is_within, Cond::all().add(is_odd(column))])
}

/// Whether a text in SQLite does not begin with a date, in the words of the index that has those.
fn is_odd(column: &Expr) -> Expr {
    Expr::cust_with_expr("substr(?, 5, 1) <> '-'", column.clone())
}

/// How many bytes a number takes in a list of [`packed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) enum Width {
    Four,
    Eight,
    /// An instant that reports show, in eight bytes: microseconds since 2000, as [`unpacked_time`] reads them.
    Time,
}

/// The beginning of 2000 in microseconds since 1970: PostgreSQL counts from there.
const YEAR_2000: i64 = 946_684_800_000_000;

/// The microseconds since 1970 of an instant that was packed; `None` for null.
pub(in crate::reports) fn unpacked_time(packed: i64) -> Option<i64> {
    (packed != i64::MIN).then(|| packed.saturating_add(YEAR_2000))
}

/// The numbers of all rows in one list of bytes, the highest byte of each first. With a condition, of the rows that
/// meet it. Null when there are none.
pub(in crate::reports) fn packed(backend: DbBackend, width: Width, numbers: &[Expr], condition: Option<&str>) -> Expr {
    let bytes = |number: usize| match (backend, width) {
        (DbBackend::Sqlite, Width::Four) => format!("printf('%08X', ${number} & 4294967295)"),
        (DbBackend::Sqlite, Width::Eight) => format!("printf('%016X', ${number})"),
        // Negative numbers are written as the two's complement; the last one stands for null.
        (DbBackend::Sqlite, Width::Time) => format!(
            "printf('%016X', coalesce(CAST(strftime('%s', substr(${number}, 1, 19)) AS INTEGER) * 1000000 - {YEAR_2000} \
             + substr(${number}, 21, 6), -9223372036854775808))"
        ),
        (_, Width::Four) => format!("int4send((${number})::INTEGER)"),
        (_, Width::Eight) => format!("int8send(${number})"),
        // Infinity is sent as the least number of eight bytes.
        (_, Width::Time) => format!("timestamp_send(coalesce(${number}, '-infinity'))"),
    };
    let bytes = (1..=numbers.len()).map(bytes).collect::<Vec<_>>().join(" || ");
    let filter = condition.map(|condition| format!(" FILTER (WHERE {condition})")).unwrap_or_default();
    let sql = match backend {
        DbBackend::Sqlite => format!("unhex(group_concat({bytes}, ''){filter})"),
        _ => format!("string_agg({bytes}, ''){filter}"),
    };
    custom(backend, &sql, numbers)
}

/// How many rows meet each of the conditions, packed as [`packed`] does.
pub(in crate::reports) fn packed_counts(backend: DbBackend, conditions: &[&str]) -> Expr {
    let count = |condition: &&str| match backend {
        DbBackend::Sqlite => format!("printf('%08X', count(*) FILTER (WHERE {condition}))"),
        _ => format!("int4send((count(*) FILTER (WHERE {condition}))::INTEGER)"),
    };
    let counts = conditions.iter().map(count).collect::<Vec<_>>().join(" || ");
    Expr::cust(if backend == DbBackend::Sqlite { format!("unhex({counts})") } else { counts })
}

/// The local calendar of a UTC column, as SQL.
#[derive(Debug, Clone)]
pub(in crate::reports) struct Local {
    backend: DbBackend,
    column: Expr,
    range: DateRange,
    zone: Zone,
    segments: &'static [Segment],
    now: NaiveDateTime,
}

impl Local {
    /// For a column whose values lie in `range`. Most of them are near `now`.
    pub(in crate::reports) fn of(
        backend: DbBackend,
        column: Expr,
        range: DateRange,
        zone: Zone,
        now: NaiveDateTime,
    ) -> Self {
        let bounds = range.bounds(zone);
        Self { backend, column, range, zone, segments: zone.segments(bounds.from, bounds.to), now }
    }

    pub(in crate::reports) fn backend(&self) -> DbBackend {
        self.backend
    }

    pub(in crate::reports) fn column(&self) -> Expr {
        self.column.clone()
    }

    pub(in crate::reports) fn now(&self) -> NaiveDateTime {
        self.now
    }

    /// Whether the column is in the range. Compares the raw column with bounds, so that an index can be used; compares
    /// the local date only when the bounds are not exact.
    pub(in crate::reports) fn in_range(&self) -> Condition {
        let bounds = self.range.bounds(self.zone);
        let date = |limit: Option<NaiveDate>| limit.filter(|_| !bounds.exact).map(|limit| (self.date(), limit));
        let from = bounds.from.unwrap_or(FIRST);
        let until = match bounds.to {
            Some(to) if to <= LAST => self.column.clone().lt(instant(self.backend, to)),
            _ => self.column.clone().lte(instant(self.backend, LAST)),
        };
        Cond::all()
            .add(self.column.clone().gte(instant(self.backend, from)))
            .add(until)
            .add_option(date(self.range.from()).map(|(date, from)| date.gte(from)))
            .add_option(date(self.range.to()).map(|(date, to)| date.lte(to)))
    }

    /// The texts in SQLite that can be an instant in the range.
    fn near(&self) -> Option<[Condition; 2]> {
        near(&self.column, self.range.bounds(self.zone))
    }

    /// Whether the column is in none of these stretches of dates.
    pub(in crate::reports) fn outside(&self, stretches: &[DateRange]) -> Condition {
        stretches.iter().fold(Cond::all(), |outside, range| {
            let there = Self::of(self.backend, self.column.clone(), *range, self.zone, self.now);
            outside.add(there.in_range().not())
        })
    }

    /// Whether the local date is one of these days of the week; `None` for every day.
    pub(in crate::reports) fn on(&self, weekdays: Weekdays) -> Option<Expr> {
        let days = (0..7).filter_map(|day| Weekday::try_from(day).ok()).filter(|day| weekdays.contains(*day));
        let days: Vec<i32> = days.map(|day| day.num_days_from_monday().cast_signed()).collect();
        (!weekdays.is_every_day()).then(|| self.weekday().is_in(days))
    }

    /// The local date.
    pub(in crate::reports) fn date(&self) -> Expr {
        match (self.backend, self.shift()) {
            (DbBackend::Sqlite, None) => Func::cust("substr").arg(self.column.clone()).arg(1).arg(10).into(),
            (DbBackend::Sqlite, Some(shift)) => Func::cust("date").arg(self.seconds()).arg(shift).into(),
            _ => self.time().cast_as("date"),
        }
    }

    /// Whether the column is before a local date (0), on it (1) or after it (2).
    pub(in crate::reports) fn beside(&self, date: NaiveDate) -> Expr {
        let UtcBounds { from, to, exact } = DateRange::between(date, date).bounds(self.zone);
        let instants = from.zip(to).filter(|_| exact);
        let (before, on) = match instants {
            Some((from, to)) => {
                (self.column.clone().lt(instant(self.backend, from)), self.column.clone().lt(instant(self.backend, to)))
            }
            None => (self.date().lt(date), self.date().lte(date)),
        };
        let count = |count: i32| Expr::cust(format!("CAST({count} AS BIGINT)"));
        CaseStatement::new().case(before, count(0)).case(on, count(1)).finally(count(2)).into()
    }

    /// The local time, cut to the full hour.
    pub(in crate::reports) fn hour_start(&self) -> Expr {
        match self.backend {
            DbBackend::Sqlite => self.formatted("%Y-%m-%d %H:00:00"),
            _ => Func::cust("date_trunc").arg("hour").arg(self.time()).into(),
        }
    }

    /// Local time minus UTC, in seconds.
    pub(in crate::reports) fn offset(&self) -> Expr {
        // Offsets are written into the statement, not bound, since rows are grouped by this expression.
        by_segment(&self.column, self.segments, self.now, |offset| Expr::cust(offset.to_string()))
    }

    /// The hour of the local day, 0 to 23.
    pub(in crate::reports) fn hour(&self) -> Expr {
        match self.backend {
            DbBackend::Sqlite => self.formatted("%H").cast_as("integer"),
            _ => Expr::cust_with_expr("extract(hour FROM $1)::BIGINT", self.time()),
        }
    }

    /// The local day of the week, from Monday (0) to Sunday (6).
    pub(in crate::reports) fn weekday(&self) -> Expr {
        match self.backend {
            DbBackend::Sqlite => custom(self.backend, "(CAST(strftime('%w', $1) AS INTEGER) + 6) % 7", &[self.date()]),
            _ => Expr::cust_with_expr("extract(isodow FROM $1)::BIGINT - 1", self.time()),
        }
    }

    /// The first date of the bucket that contains the column. For hours, the date.
    pub(in crate::reports) fn bucket(&self, calendar: Calendar) -> Expr {
        let date = self.date();
        let start = calendar.week_start.0;
        let sql = match (self.backend, calendar.granularity) {
            (_, Granularity::Hour | Granularity::Day) => return date,
            (DbBackend::Sqlite, Granularity::Week) => {
                format!("date($1, '-6 days', 'weekday {}')", start.num_days_from_sunday())
            }
            (DbBackend::Sqlite, Granularity::Month) => "strftime('%Y-%m-01', $1)".to_owned(),
            (DbBackend::Sqlite, Granularity::Quarter) => {
                "date($1, 'start of month', '-' || ((strftime('%m', $1) - 1) % 3) || ' months')".to_owned()
            }
            (DbBackend::Sqlite, Granularity::Year) => "strftime('%Y-01-01', $1)".to_owned(),
            (_, Granularity::Week) => {
                format!("$1 - (extract(isodow FROM $1)::INTEGER + {}) % 7", 7 - start.number_from_monday())
            }
            (_, Granularity::Month) => "date_trunc('month', $1::TIMESTAMP)::DATE".to_owned(),
            (_, Granularity::Quarter) => "date_trunc('quarter', $1::TIMESTAMP)::DATE".to_owned(),
            (_, Granularity::Year) => "date_trunc('year', $1::TIMESTAMP)::DATE".to_owned(),
        };
        custom(self.backend, &sql, &[date])
    }

    /// The local time. PostgreSQL only.
    fn time(&self) -> Expr {
        match self.shift() {
            None => self.column.clone(),
            Some(shift) => self.column.clone().add(Expr::cust_with_expr("make_interval(secs => $1)", shift)),
        }
    }

    /// What is added to the column to get local time; `None` when that is nothing.
    fn shift(&self) -> Option<Expr> {
        if let [Segment { offset: 0, .. }] = self.segments {
            return None;
        }
        Some(by_segment(&self.column, self.segments, self.now, |offset| match self.backend {
            DbBackend::Sqlite => Expr::val(format!("{offset:+} seconds")),
            _ => Expr::val(f64::from(offset)),
        }))
    }

    /// SQLite: the text without its fraction, which SQLite would round up, possibly into the next day.
    fn seconds(&self) -> Expr {
        Func::cust("substr").arg(self.column.clone()).arg(1).arg(19).into()
    }

    fn formatted(&self, format: &str) -> Expr {
        let function = Func::cust("strftime").arg(format).arg(self.seconds());
        match self.shift() {
            None => function.into(),
            Some(shift) => function.arg(shift).into(),
        }
    }
}

/// The value for the segment that contains a UTC column. The segment of `now`, where most rows are, is tried first,
/// then earlier segments, then later ones.
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

/// A piece of SQL in which `$1`, `$2` stand for expressions. SQLite's placeholders have no numbers, so there an
/// expression is repeated wherever it is used.
fn custom(backend: DbBackend, sql: &str, expressions: &[Expr]) -> Expr {
    if backend != DbBackend::Sqlite {
        return Expr::cust_with_exprs(sql.to_owned(), expressions.to_vec());
    }
    let mut pieces = sql.split('$');
    let mut pattern = pieces.next().unwrap_or_default().to_owned();
    let mut repeated = Vec::new();
    for piece in pieces {
        let (number, rest) = piece.split_at(1);
        let number = number.parse::<usize>().unwrap_or(1);
        repeated.push(expressions[number - 1].clone());
        pattern.push('?');
        pattern.push_str(rest);
    }
    Expr::cust_with_exprs(pattern, repeated)
}

/// Whole seconds from one column to a later one, rounded down; negative when the later one is earlier.
pub(in crate::reports) fn seconds_between(backend: DbBackend, earlier: Expr, later: Expr) -> Expr {
    let sql = match backend {
        // Whole seconds, minus 1 when the fraction gets smaller. Fractions are compared as text without trailing zeros.
        DbBackend::Sqlite => {
            "CAST(strftime('%s', substr($2, 1, 19)) AS INTEGER) - CAST(strftime('%s', substr($1, 1, 19)) AS INTEGER) \
             - (rtrim(rtrim(substr($2, 20), '0'), '.') < rtrim(rtrim(substr($1, 20), '0'), '.'))"
        }
        _ => "floor(extract(epoch FROM $2 - $1))::BIGINT",
    };
    custom(backend, sql, &[earlier, later])
}

/// Days from one date to a later one.
pub(in crate::reports) fn days_between(backend: DbBackend, earlier: Expr, later: Expr) -> Expr {
    let sql = match backend {
        DbBackend::Sqlite => "CAST(julianday($2) - julianday($1) AS INTEGER)",
        _ => "($2 - $1)::BIGINT",
    };
    custom(backend, sql, &[earlier, later])
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, Statement};

    use super::*;
    use crate::{
        config::Config,
        database::{Access, Database},
        reports::{Argument, filter::TokenFilter, selection::tokens, time_zone::parse_date},
    };

    #[tokio::test]
    async fn sqlite_reads_a_range_from_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::on_file(&folder.path().join("test.db"));
        let database = Database::connect(&config.database, Access::Maintain).await.unwrap();
        migration::up(database.connection()).await.unwrap();
        let day = |text| Some(parse_date(Argument::FROM, text).unwrap());
        let range = DateRange::new(Argument::FROM, day("2024-03-01"), day("2024-03-31")).unwrap();
        let filter = TokenFilter { range, ..TokenFilter::default() };
        for (column, index) in
            [(token::Column::CreatedAt, "tokens_created_at"), (token::Column::UsedAt, "tokens_used_at")]
        {
            let now = "2024-04-14T12:00:00".parse().unwrap();
            let local = Local::of(DbBackend::Sqlite, Expr::col(column), range, filter.zone, now);
            let mut select = tokens(&local, &filter);
            let sql = DbBackend::Sqlite.build(select.expr(Expr::cust("count(*)"))).to_string();
            let explain = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql}"));
            let plan = database.connection().query_all_raw(explain).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
            let reads = |what: String| plan.iter().any(|step| step.contains(&what));
            assert!(reads(format!("SEARCH tokens USING COVERING INDEX {index}_index")), "{plan:#?}\n{sql}");
            assert!(reads(format!("SCAN tokens USING COVERING INDEX {index}_odd_index")), "{plan:#?}\n{sql}");
        }
    }
}
