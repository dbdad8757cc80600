//! Cohorts: for the members who joined, or first visited, in the same period, how many visited in each later period.

use std::collections::BTreeMap;

use chrono::{Days, Months, NaiveDate};
use entity::{token, user};
use sea_orm::sea_query::{Expr, ExprTrait as _, JoinType, Query, SelectStatement, UnionType, WithClause};

use super::{
    Argument, Error, InvalidArgument, Session,
    calendar::{Bucket, Calendar, Granularity, Week},
    checked_size,
    dialect::{Local, from_users},
    filter::{TimeBasis, TokenFilter, UserFilter},
    ids::ById,
    made,
    model::ratio,
    moment::Within,
    range::{DateRange, RelativeRange},
    roster::Entry,
    selection::{cte, tokens, user_condition},
    series::check_week_start,
};

/// The most cohorts that one report has: three years of weeks.
pub const MAX_COHORTS: usize = 160;
/// The most periods after a cohort's own: two years of weeks.
pub const MAX_PERIODS: usize = 104;

/// How long a cohort's periods are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CohortUnit {
    /// Seven days.
    Week,
    /// A month of the calendar.
    #[default]
    Month,
}

/// How members are grouped into cohorts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CohortAnchor {
    /// By the period in which they joined.
    #[default]
    JoinedAt,
    /// By the period of their first visit ever.
    FirstVisit,
}

/// The question that `retention` answers.
#[derive(Debug, Clone)]
pub struct RetentionQuestion {
    /// The local dates on which members joined, or first visited.
    range: DateRange,
    users: UserFilter,
    basis: TimeBasis,
    calendar: Calendar,
    periods: usize,
    anchor: CohortAnchor,
}

impl RetentionQuestion {
    /// The question about the cohorts of `filter`'s range and members.
    ///
    /// # Errors
    /// When `periods` is not in `1..=`[`MAX_PERIODS`], or `week_start` is given and neither the periods nor the range
    /// are weeks.
    pub fn new(
        filter: TokenFilter,
        unit: CohortUnit,
        week_start: Option<Week>,
        range: Option<RelativeRange>,
        periods: i32,
        anchor: CohortAnchor,
    ) -> Result<Self, InvalidArgument> {
        check_week_start(week_start, unit == CohortUnit::Week, range)?;
        let granularity = match unit {
            CohortUnit::Week => Granularity::Week,
            CohortUnit::Month => Granularity::Month,
        };
        let calendar = Calendar::new(filter.zone, granularity, week_start.unwrap_or_default());
        let periods = checked_size(Argument::PERIODS, periods, MAX_PERIODS)?;
        Ok(Self { range: filter.range, users: filter.users, basis: filter.basis, calendar, periods, anchor })
    }
}

/// Members who joined, or first visited, in the same period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    /// The period's first local date.
    pub start: NaiveDate,
    /// The period's label.
    pub label: String,
    /// The number of members.
    pub members: i64,
    /// The cohort's own period, and the periods after it.
    pub periods: Vec<CohortPeriod>,
}

/// A cohort in one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CohortPeriod {
    /// The period's first local date.
    pub start: NaiveDate,
    /// How many of the members visited. `None` when the period has not begun, or ended before the first door code ever.
    pub active: Option<i64>,
    /// Whether the period was not over when the report was made.
    pub is_partial: bool,
}

impl CohortPeriod {
    /// The share of the cohort's members who visited; `None` for an empty cohort, and when `active` is `None`.
    #[must_use]
    pub fn rate(&self, members: i64) -> Option<f64> {
        ratio(self.active?, members)
    }
}

/// Members by cohort, and members with a visit by cohort and period. Cohorts and periods are keyed by their first
/// dates.
#[derive(Debug, Default)]
struct Counted {
    members: BTreeMap<NaiveDate, i64>,
    active: BTreeMap<(NaiveDate, NaiveDate), i64>,
}

impl Session {
    /// Every cohort from the first to the last of the range, also empty ones.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there are more than [`MAX_COHORTS`]; otherwise what the database says.
    pub async fn retention(&self, question: &RetentionQuestion) -> Result<Vec<Cohort>, Error> {
        made("retention", async {
            let calendar = question.calendar;
            let today = calendar.zone.date_at(self.now());
            if let Some(from) = question.range.from() {
                question.cohorts(from, question.range.to().unwrap_or(today))?;
            }
            let Counted { members, active } = match self.kept_retention(question).await? {
                Some(counted) => counted,
                None => self.retention_from_tokens(question).await?,
            };
            let Some(first) = question.range.from().or(members.keys().next().copied()) else { return Ok(Vec::new()) };
            let last = question
                .range
                .to()
                .unwrap_or_else(|| members.keys().next_back().map_or(today, |last| Ord::max(today, *last)));
            let recorded_from = self.recorded_from(calendar.zone).await?;
            let is_recorded = |bucket| recorded_from.is_some_and(|from| from <= calendar.dates(bucket).1);
            let cohorts = question.cohorts(first, last)?.into_iter().map(|bucket| {
                let start = bucket.date();
                let period = |bucket: Bucket| {
                    let period = bucket.date();
                    let active = active.get(&(start, period)).copied().unwrap_or(0);
                    let is_partial = calendar.instants(bucket).1 > self.now();
                    CohortPeriod {
                        start: period,
                        active: (period <= today && is_recorded(bucket)).then_some(active),
                        is_partial,
                    }
                };
                Cohort {
                    start,
                    label: calendar.label(bucket),
                    members: members.get(&start).copied().unwrap_or(0),
                    periods: calendar.from(bucket).take(question.periods + 1).map(period).collect(),
                }
            });
            Ok(cohorts.collect())
        })
        .await
    }

    async fn retention_from_tokens(&self, question: &RetentionQuestion) -> Result<Counted, Error> {
        let mut counted = Counted::default();
        for row in self.query_all(&self.retention_statement(question)).await? {
            let cohort = row.try_get("", "cohort")?;
            let count = row.try_get("", "members")?;
            match row.try_get("", "period")? {
                None => counted.members.insert(cohort, count),
                Some(period) => counted.active.insert((cohort, period), count),
            };
        }
        Ok(counted)
    }

    /// The same counts from the rollup; `None` when it cannot answer.
    async fn kept_retention(&self, question: &RetentionQuestion) -> Result<Option<Counted>, Error> {
        let calendar = question.calendar;
        let mut counted = Counted::default();
        // For each member, the number of their cohort in this list, plus one. More than `MAX_COHORTS` are an error later.
        let mut cohorts = Vec::<NaiveDate>::new();
        let mut numbers = BTreeMap::<NaiveDate, u8>::new();
        let mut cohort_of = ById::<u8>::default();
        let mut within = Within::of(question.range, calendar.zone);
        let count = |member: Entry| {
            let anchor = match question.anchor {
                CohortAnchor::JoinedAt => member.joined(),
                CohortAnchor::FirstVisit => member.first_visit(question.basis),
            };
            let Some(moment) = within.moment(anchor) else { return };
            let cohort = calendar.bucket_of(moment.date).date();
            *counted.members.entry(cohort).or_default() += 1;
            *cohort_of.get_mut(member.id) = *numbers.entry(cohort).or_insert_with(|| {
                cohorts.push(cohort);
                u8::try_from(cohorts.len()).unwrap_or(u8::MAX)
            });
        };
        if !self.each_member(&question.users, calendar.zone, count).await? {
            return Ok(None);
        }
        let filter = question.visits(DateRange::unordered(question.first_day(), question.last_day()));
        let finish = |period: NaiveDate, members: &[i32]| {
            let mut active = vec![0; Ord::max(cohorts.len(), usize::from(u8::MAX)) + 1];
            for member in members {
                active[usize::from(*cohort_of.get_mut(*member))] += 1;
            }
            for (cohort, members) in cohorts.iter().zip(active.into_iter().skip(1)) {
                if *cohort <= period && members > 0 {
                    *counted.active.entry((*cohort, period)).or_default() += members;
                }
            }
        };
        Ok(self.visitors(&filter, |date| calendar.bucket_of(date).date(), finish).await?.then_some(counted))
    }

    fn retention_statement(&self, question: &RetentionQuestion) -> SelectStatement {
        let mut with = WithClause::new();
        with.cte(cte("cohorts", self.cohorts(question)));
        with.cte(cte("visits", self.visit_periods(question)));
        let mut sizes = Query::select();
        sizes
            .column("cohort")
            .expr_as(Expr::cust("NULL"), "period")
            .expr_as(Expr::cust("count(*)"), "members")
            .from("cohorts")
            .group_by_col("cohort");
        let mut active = Query::select();
        active
            .columns(["cohort", "period"])
            .expr_as(Expr::cust("count(*)"), "members")
            .from("cohorts")
            .join(JoinType::InnerJoin, "visits", Expr::col(("visits", "user_id")).eq(Expr::col(("cohorts", "user_id"))))
            .and_where(Expr::col("period").gte(Expr::col("cohort")))
            .group_by_columns(["cohort", "period"]);
        sizes.union(UnionType::All, active);
        sizes.with_cte(with).take()
    }

    /// Each member with the first date of their cohort's period.
    fn cohorts(&self, question: &RetentionQuestion) -> SelectStatement {
        let (backend, zone, now) = (self.backend(), question.calendar.zone, self.now().naive_utc());
        let local = |column| Local::of(backend, column, question.range, zone, now);
        match question.anchor {
            CohortAnchor::JoinedAt => {
                let joined = local(Expr::col(user::Column::JoinedAt));
                let users = &question.users;
                let mut members = Query::select();
                from_users(&mut members, backend);
                members
                    .expr_as(Expr::col(user::Column::Id), "user_id")
                    .expr_as(joined.bucket(question.calendar), "cohort")
                    .cond_where(
                        joined
                            .in_range()
                            .add(user_condition(backend, users, zone, now))
                            .add_option(users.ids().map(|ids| Expr::col(user::Column::Id).is_in(ids.iter().copied()))),
                    )
                    .take()
            }
            CohortAnchor::FirstVisit => {
                let first = Local::of(backend, Expr::col("first_visit"), question.range, zone, now);
                Query::select()
                    .column("user_id")
                    .expr_as(first.bucket(question.calendar), "cohort")
                    .from_subquery(self.first_visits(&question.users, zone, question.basis), "first_visits")
                    .cond_where(first.in_range())
                    .take()
            }
        }
    }

    /// Each member with the first dates of the periods in which they visited, within the time of the report.
    fn visit_periods(&self, question: &RetentionQuestion) -> SelectStatement {
        let calendar = question.calendar;
        let filter = question.visits(DateRange::unordered(question.first_day(), question.last_day()));
        let local = self.local(&filter);
        let mut visits = tokens(&local, &filter);
        visits
            .column(token::Column::UserId)
            .expr_as(local.bucket(calendar), "period")
            .and_where(Expr::col(token::Column::UsedAt).is_not_null())
            .group_by_col(token::Column::UserId)
            .group_by_col("period");
        visits
    }
}

impl RetentionQuestion {
    /// The cohorts from the one of `from` to the one of `to`.
    fn cohorts(&self, from: NaiveDate, to: NaiveDate) -> Result<Vec<Bucket>, InvalidArgument> {
        let cohorts: Vec<_> = self.calendar.between(from, to).take(MAX_COHORTS + 1).collect();
        if cohorts.len() > MAX_COHORTS {
            let problem =
                format!("is {from}, which gives more than {MAX_COHORTS} cohorts; at most so many are allowed");
            return Err(InvalidArgument::new(Argument::FROM, problem));
        }
        Ok(cohorts)
    }

    /// The filter for the visits of these dates.
    fn visits(&self, range: DateRange) -> TokenFilter {
        TokenFilter { range, zone: self.calendar.zone, basis: self.basis, ..TokenFilter::default() }
    }

    /// The first day of the first cohort.
    fn first_day(&self) -> Option<NaiveDate> {
        self.range.from().map(|from| self.calendar.bucket_of(from).date())
    }

    /// The first day after the last period of the last cohort.
    fn last_day(&self) -> Option<NaiveDate> {
        let last = self.calendar.bucket_of(self.range.to()?).date();
        let periods = u32::try_from(self.periods).ok()? + 1;
        match self.calendar.granularity {
            Granularity::Week => last.checked_add_days(Days::new(u64::from(periods) * 7)),
            _ => last.checked_add_months(Months::new(periods)),
        }
    }
}
