//! The dates at which data, and reports with open ranges, begin and end.

use chrono::{NaiveDate, NaiveDateTime};
use entity::token;
use sea_orm::{
    DbBackend,
    sea_query::{Expr, ExprTrait as _, Func, Order, Query},
};

use crate::reports::{
    Error, Session,
    dialect::LAST,
    filter::{TimeBasis, TokenFilter},
    rollup::Wanted,
    selection::tokens,
    time_zone::Zone,
};

/// How many days are looked at to find the first or the last door code.
const DAYS_AT_AN_END: u64 = 8;

/// The first date and the last.
pub(in crate::reports) type Dates = (Option<NaiveDate>, Option<NaiveDate>);

impl Session {
    /// The local date of the first door code ever issued; `None` when there is none.
    pub(in crate::reports) async fn recorded_from(&self, zone: Zone) -> Result<Option<NaiveDate>, Error> {
        let anything = TokenFilter { zone, ..TokenFilter::default() };
        Ok(self.extremes(&anything, false).await?.0)
    }

    /// The dates of a report about visits. An open beginning is the date of the first visit; an open end is today, or
    /// the date of the last visit if that is later.
    pub(in crate::reports) async fn reported_dates(&self, filter: &TokenFilter) -> Result<Dates, Error> {
        if let (Some(from), Some(to)) = (filter.range.from(), filter.range.to()) {
            return Ok((Some(from), Some(to)));
        }
        Ok(self.closed(filter, self.extremes(filter, true).await?))
    }

    /// The dates of `usage`. An open beginning is the date of the first door code that counts; an open end is today, or
    /// the date of the last such door code if that is later.
    ///
    /// # Errors
    /// What the database says.
    pub async fn usage_dates(&self, filter: &TokenFilter) -> Result<Dates, Error> {
        if let (Some(from), Some(to)) = (filter.range.from(), filter.range.to()) {
            return Ok((Some(from), Some(to)));
        }
        // Issued door codes are always counted by time of issue, whatever the filter's basis is.
        let by_issue = TokenFilter { basis: TimeBasis::IssuedAt, ..filter.clone() };
        let (mut first, mut last) = self.extremes(&by_issue, false).await?;
        if filter.basis == TimeBasis::UsedAt {
            let (first_use, last_use) = self.extremes(filter, true).await?;
            first = [first, first_use].into_iter().flatten().min();
            last = Ord::max(last, last_use);
        }
        Ok(self.closed(filter, (first, last)))
    }

    /// The dates of a report whose first and last code are at these dates.
    pub(in crate::reports) fn closed(&self, filter: &TokenFilter, (first, last): Dates) -> Dates {
        let today = filter.zone.date_at(self.now());
        (filter.range.from().or(first), filter.range.to().or(Ord::max(last, Some(today))))
    }

    /// The dates of the first and the last door code that counts; only used ones if `only_used`.
    async fn extremes(&self, filter: &TokenFilter, only_used: bool) -> Result<Dates, Error> {
        // The first and the last of all door codes are at the ends of an index; of those that meet a condition, not, nor
        // of times that are normalized when they are read.
        let is_at_an_end = filter.users.is_everybody() && filter.weekdays.is_every_day();
        if (!is_at_an_end || self.backend() == DbBackend::Sqlite)
            && let Some(dates) = self.kept_extremes(filter, only_used).await?
        {
            return Ok(dates);
        }
        let local = self.local(filter);
        let mut ends = tokens(&local, filter);
        if only_used {
            ends.and_where(Expr::col(token::Column::UsedAt).is_not_null());
        }
        ends.expr_as(Func::min(local.column()), "first").expr_as(Func::max(local.column()), "last");
        let rows = self.query_all(&ends).await?;
        let date = |column| -> Result<Option<NaiveDate>, Error> {
            let instant: Option<NaiveDateTime> = rows.first().map_or(Ok(None), |row| row.try_get("", column))?;
            Ok(instant.map(|instant| filter.zone.date_at(instant.and_utc())))
        };
        Ok((date("first")?, date("last")?))
    }

    /// From the rollup; `None` when it cannot answer.
    async fn kept_extremes(&self, filter: &TokenFilter, only_used: bool) -> Result<Option<Dates>, Error> {
        // Most often, a few days at each end are enough.
        if let Some((early, late)) = self.days_at_the_ends(filter).await? {
            let within = |range| TokenFilter { range, ..filter.clone() };
            let (begin, end) = (within(filter.range.up_to(early)), within(filter.range.since(late)));
            if let Some((first @ Some(_), _)) = Box::pin(self.extremes_within(&begin, only_used)).await?
                && let Some((_, last @ Some(_))) = Box::pin(self.extremes_within(&end, only_used)).await?
            {
                return Ok(Some((first, last)));
            }
        }
        self.extremes_within(filter, only_used).await
    }

    /// A date shortly after the first days that are kept in the range, and one shortly before the last; `None` for a session
    /// that may ask one question only, and where there are but a few days.
    async fn days_at_the_ends(&self, filter: &TokenFilter) -> Result<Option<(NaiveDate, NaiveDate)>, Error> {
        if !self.shares {
            return Ok(None);
        }
        let bounds = filter.range.bounds(filter.zone);
        let day = |order| {
            let mut day = Query::select();
            day.column("day").from("rollup_days").order_by("day", order).limit(1).offset(DAYS_AT_AN_END);
            day.and_where_option(bounds.from.map(|from| Expr::col("day").gte(from.date())));
            day.and_where_option(bounds.to.filter(|to| *to <= LAST).map(|to| Expr::col("day").lte(to.date())));
            Expr::SubQuery(None, Box::new(day.into()))
        };
        let days = Query::select().expr_as(day(Order::Asc), "early").expr_as(day(Order::Desc), "late").take();
        let Some(rows) = self.query_rollup(&days).await? else { return Ok(None) };
        let Some(row) = rows.first() else { return Ok(None) };
        let (early, late): (Option<NaiveDate>, Option<NaiveDate>) =
            (row.try_get("", "early")?, row.try_get("", "late")?);
        Ok(early.zip(late).filter(|(early, late)| early < late))
    }

    async fn extremes_within(&self, filter: &TokenFilter, only_used: bool) -> Result<Option<Dates>, Error> {
        let visits = Wanted::visits(filter);
        let wanted = Wanted { unused: visits.used && !only_used, ..visits };
        let (mut first, mut last) = (None, None);
        let is_read = self.codes(filter, wanted, |codes| {
            let date = codes.moment.date;
            // When clocks are set back across midnight, dates alternate.
            first = Some(first.map_or(date, |first| Ord::min(first, date)));
            last = Some(last.map_or(date, |last| Ord::max(last, date)));
        });
        Ok(is_read.await?.then_some((first, last)))
    }
}
