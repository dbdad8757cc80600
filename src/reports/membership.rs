//! Growth and churn: members who joined, came for the first time, came again, and stopped coming, by calendar buckets.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use entity::user;
use sea_orm::sea_query::{Cond, Expr, ExprTrait as _, Query, SelectStatement};

use super::{
    Argument, Error, InvalidArgument, SeriesRow, Session, UsageQuestion,
    active_users::Stays,
    calendar::{Bucket, Calendar, Granularity, Week},
    checked_size,
    counts::{By, Counts, Measures, Place},
    dialect::{Local, from_users},
    filter::{GapFill, TokenFilter},
    ids::OpenSets,
    made,
    model::Figures,
    moment::Within,
    range::{DateRange, RelativeRange},
    roster::Entry,
    selection::user_condition,
    series::check_listed,
};

/// The longest rule for members who stopped, in days.
const MAX_AWAY: usize = 3_650;

/// The question that `membership` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipQuestion {
    usage: UsageQuestion,
    stopped_after: u64,
}

/// One bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Where the bucket lies, and whether it is partial; without measures.
    pub place: SeriesRow,
    /// Members who joined.
    pub joined: i64,
    /// Members with a visit.
    pub active: i64,
    /// Members whose first visit ever is in the bucket.
    pub first_visits: i64,
    /// How often a member's last visit became longer ago than the rule allows.
    pub stopped: i64,
}

impl Membership {
    /// Members with a visit who had come before.
    #[must_use]
    pub fn returning(&self) -> i64 {
        self.active - self.first_visits
    }
}

impl MembershipQuestion {
    /// The question about `filter`. A member stops on the day on which the last visit is more than `stopped_after` local
    /// days ago.
    ///
    /// # Errors
    /// When `granularity` is hours, `week_start` is given where nothing has weeks, or `stopped_after` is not in `1..=3650`.
    pub fn new(
        filter: TokenFilter,
        granularity: Granularity,
        week_start: Option<Week>,
        range: Option<RelativeRange>,
        stopped_after: i32,
    ) -> Result<Self, InvalidArgument> {
        if granularity == Granularity::Hour {
            return Err(InvalidArgument::new(Argument::GRANULARITY, "is HOUR: use DAY, or a longer bucket"));
        }
        let stopped_after = checked_size(Argument::STOPPED_AFTER_DAYS, stopped_after, MAX_AWAY)? as u64;
        Ok(Self { usage: UsageQuestion::new(filter, granularity, week_start, range, GapFill::Zero)?, stopped_after })
    }

    /// The filter.
    #[must_use]
    pub fn filter(&self) -> &TokenFilter {
        &self.usage.filter
    }
}

impl Session {
    /// Every bucket of the range. An open beginning is the first bucket in which somebody joined or came; an open end is
    /// today, or the last such bucket if that is later.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there would be more than [`MAX_BUCKETS`](super::MAX_BUCKETS) buckets; otherwise what
    /// the database says.
    pub async fn membership(&self, question: &MembershipQuestion) -> Result<Vec<Membership>, Error> {
        made("membership", async {
            let MembershipQuestion { usage, stopped_after } = question;
            let (filter, calendar) = (&usage.filter, usage.calendar);
            let today = filter.zone.date_at(self.now());
            if let Some(from) = filter.range.from() {
                usage.check_filled(from, filter.range.to().unwrap_or(today))?;
            }
            let kept = self.kept_membership(filter, calendar, *stopped_after).await?;
            let (counted, stopped) = if let Some(kept) = kept {
                kept
            } else {
                let measures = Measures { unique_visitors: true, new_visitors: true, ..Measures::default() };
                (self.by_bucket(usage, measures).await?, self.stopped(filter, calendar, *stopped_after).await?)
            };
            let joined = self.joined(filter, calendar).await?;
            let visited = || counted.iter().filter(|(_, counts)| counts.unique_visitors > 0).map(|(bucket, _)| bucket);
            let first = visited().chain(joined.keys()).min().map(|bucket| bucket.date());
            let latest = visited().chain(joined.keys()).max().map(|bucket| bucket.date());
            let Some(first) = filter.range.from().or(first) else { return Ok(Vec::new()) };
            let last = filter.range.to().unwrap_or_else(|| latest.map_or(today, |latest| Ord::max(latest, today)));
            usage.check_filled(first, last)?;
            let rows: Vec<_> = calendar
                .between(first, last)
                .filter(|bucket| calendar.granularity > Granularity::Day || filter.zone.has_day(bucket.date()))
                .map(|bucket| {
                    let counts = counted.get(&bucket).copied().unwrap_or_default();
                    Membership {
                        place: self.row(usage, bucket, Figures::default()),
                        joined: joined.get(&bucket).copied().unwrap_or_default(),
                        active: counts.unique_visitors,
                        first_visits: counts.new_visitors,
                        stopped: stopped.get(&bucket).copied().unwrap_or_default(),
                    }
                })
                .collect();
            check_listed(Argument::GRANULARITY, rows.len())?;
            Ok(rows)
        })
        .await
    }

    /// Who came, and who stopped coming, in one pass over the days of the rollup; `None` when it cannot answer.
    async fn kept_membership(
        &self,
        filter: &TokenFilter,
        calendar: Calendar,
        after: u64,
    ) -> Result<Option<(BTreeMap<Bucket, Counts>, BTreeMap<Bucket, i64>)>, Error> {
        // Who comes after the cut end of a range does not count in it, but did not stop.
        if filter.range.end().is_some() {
            return Ok(None);
        }
        let mut counted = BTreeMap::<Bucket, Counts>::new();
        let mut finish = |bucket, members: &[i32]| {
            let members = i64::try_from(members.len()).unwrap_or(i64::MAX);
            counted.entry(bucket).or_default().unique_visitors += members;
        };
        let mut stopping = Stopping::of(filter, calendar, after, self.now());
        let both = DateRange::unordered(stopping.begin, filter.range.to());
        let mut open = OpenSets::default();
        let mut stays = Stays::new(stopping.longest());
        let add = |date: NaiveDate, members: &[i32]| {
            if filter.range.contains(date) {
                open.add(calendar.bucket_of(date), members, &mut finish);
            }
            if date <= stopping.to {
                stays.add(date, members, |date, stay, members| stopping.count(date, stay, members));
            }
        };
        if !self.visitors(&TokenFilter { range: both, ..filter.clone() }, |date| date, add).await? {
            return Ok(None);
        }
        open.finish(&mut finish);
        stays.end(None, |date, stay, members| stopping.count(date, stay, members));
        for (place, members) in self.newcomers(filter, By::Bucket(calendar)).await? {
            if let Place::Bucket(bucket) = place {
                counted.entry(bucket).or_default().new_visitors = members;
            }
        }
        Ok(Some((counted, stopping.stopped)))
    }

    /// How many members joined, by bucket.
    async fn joined(&self, filter: &TokenFilter, calendar: Calendar) -> Result<BTreeMap<Bucket, i64>, Error> {
        let mut within = Within::of(filter.range, filter.zone);
        let mut joined = BTreeMap::new();
        let count = |member: Entry| {
            if let Some(moment) = within.moment(member.joined()) {
                *joined.entry(calendar.bucket_of(moment.date)).or_default() += 1;
            }
        };
        if self.each_member(&filter.users, filter.zone, count).await? {
            return Ok(joined);
        }
        let rows = self.query_all(&self.joined_statement(filter, calendar)).await?;
        let row =
            |row: &sea_orm::QueryResult| Ok((Bucket::of_date(row.try_get("", "bucket")?), row.try_get("", "members")?));
        rows.iter().map(row).collect()
    }

    fn joined_statement(&self, filter: &TokenFilter, calendar: Calendar) -> SelectStatement {
        let (backend, now) = (self.backend(), self.now().naive_utc());
        let joined = Local::of(backend, Expr::col(user::Column::JoinedAt), filter.range, filter.zone, now);
        let mut members = Query::select();
        from_users(&mut members, backend);
        members
            .expr_as(joined.bucket(calendar), "bucket")
            .expr_as(Expr::cust("count(*)"), "members")
            .cond_where(
                Cond::all()
                    .add(joined.in_range())
                    .add(user_condition(backend, &filter.users, filter.zone, now))
                    .add_option(filter.users.ids().map(|ids| Expr::col(user::Column::Id).is_in(ids.iter().copied()))),
            )
            .group_by_col("bucket")
            .take()
    }

    /// How often a member's last visit became more than `after` days ago, by bucket.
    async fn stopped(
        &self,
        filter: &TokenFilter,
        calendar: Calendar,
        after: u64,
    ) -> Result<BTreeMap<Bucket, i64>, Error> {
        let mut stopping = Stopping::of(filter, calendar, after, self.now());
        let range = DateRange::unordered(stopping.begin, Some(stopping.to));
        let wider = TokenFilter { range, ..filter.clone() };
        self.each_stay(&wider, stopping.longest(), |date, stay, members| stopping.count(date, stay, members)).await?;
        Ok(stopping.stopped)
    }
}

/// Counts members on the day on which their last visit became longer ago than allowed.
struct Stopping<'a> {
    filter: &'a TokenFilter,
    calendar: Calendar,
    after: u64,
    /// The first day whose visitors may stop in the range, and the last day on which somebody may.
    begin: Option<NaiveDate>,
    to: NaiveDate,
    stopped: BTreeMap<Bucket, i64>,
}

impl<'a> Stopping<'a> {
    fn of(filter: &'a TokenFilter, calendar: Calendar, after: u64, now: DateTime<Utc>) -> Self {
        let today = filter.zone.date_at(now);
        let (from, to) = (filter.range.from(), filter.range.to().map_or(today, |to| Ord::min(to, today)));
        let begin = from.map(|from| from.checked_sub_days(Days::new(after + 1)).unwrap_or(NaiveDate::MIN));
        Self { filter, calendar, after, begin, to, stopped: BTreeMap::new() }
    }

    /// Who comes again on the day after the last one that is allowed did not stop.
    fn longest(&self) -> u64 {
        self.after + 2
    }

    /// Counts members who came on `date`, and again after `stay` days.
    fn count(&mut self, date: NaiveDate, stay: u64, members: i64) {
        let zone = self.filter.zone;
        let day = date.checked_add_days(Days::new(self.after + 1)).filter(|_| stay >= self.longest());
        // A day that the zone skipped is no day on which anybody stops: the next one is.
        let Some(day) = day.and_then(|day| day.iter_days().find(|day| zone.has_day(*day))) else { return };
        if self.filter.range.from().is_none_or(|from| from <= day) && day <= self.to {
            *self.stopped.entry(self.calendar.bucket_of(day)).or_default() += members;
        }
    }
}
