//! `retention`: of the members who joined, or first came, in the same period, how many came in each later one.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, InputType as _, Object, Result, SimpleObject, Value};

use super::{
    error::client_error,
    guard,
    input::{self, RelativeRange, TimeBasis, Weekday, week},
    limits,
    rows::{Row, Rows},
    scalar::{Date, TimeZone},
};
use crate::reports::{
    self, InvalidArgument, RetentionQuestion, Session,
    filter::{TokenFilter, UserFilter},
    range::DateRange,
};

/// What a list of cohorts is taken to hold.
const USUAL_COHORTS: usize = 36;

/// The root of `retention`.
#[derive(Debug, Default)]
pub(super) struct RetentionQuery;

#[Object]
impl RetentionQuery {
    /// Who comes back: members by the week or month in which they joined (or first came), and how many of them
    /// came in each period after. At most 160 cohorts.
    #[graphql(complexity = "cost(periods, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn retention(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How long a period is.", default)] cohort: CohortPeriod,
        #[graphql(desc = "How many periods to follow each cohort, besides its own: 1 to 104.", default = 12)]
        periods: i32,
        #[graphql(desc = "What makes members a cohort.", default)] anchor: CohortAnchor,
        #[graphql(desc = "Which cohorts, of which members; everybody when left out.")] filter: Option<
            RetentionFilterInput,
        >,
        #[graphql(desc = "The zone of the periods, and of the dates in `filter`.", default)] time_zone: TimeZone,
        #[graphql(desc = "What puts a visit into a period: the token's issue, or its use.", default)] basis: TimeBasis,
        #[graphql(desc = "The day on which weeks start: Monday when left out. Only with the cohort `WEEK`, or the \
                          ranges `THIS_WEEK` and `LAST_WEEK`.")]
        week_start: Option<Weekday>,
    ) -> Option<Result<Vec<RetentionCohort>>> {
        let cohorts = async {
            guard::aggregate(ctx)?;
            let here = input::here(ctx, "timeZone", &time_zone, week_start)?;
            let filter = filter.unwrap_or_default();
            let relative = filter.range.map(Into::into);
            let filter = filter.into_filter(here, basis)?;
            let week_start = week(week_start);
            let question = RetentionQuestion::new(filter, cohort.into(), week_start, relative, periods, anchor.into())?;
            ctx.data_unchecked::<Arc<Session>>().retention(&question).await
        };
        Some(cohorts.await.map(|cohorts| cohorts.iter().map(Into::into).collect()).map_err(client_error))
    }
}

/// How long the periods of cohorts are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::CohortUnit")]
pub(super) enum CohortPeriod {
    /// Seven days.
    Week,
    /// A month of the calendar.
    #[default]
    Month,
}

/// What makes members a cohort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::CohortAnchor")]
pub(super) enum CohortAnchor {
    /// The period in which they joined.
    #[default]
    JoinedAt,
    /// The period of their first visit ever; members who never came are in no cohort.
    FirstVisit,
}

/// Which cohorts `retention` lists, and of which members. Conditions are combined with "and".
#[derive(Debug, Default, InputObject)]
struct RetentionFilterInput {
    /// Only members who joined, or first came, on this local date or later.
    from: Option<Date>,
    /// Only members who joined, or first came, on this local date or earlier.
    to: Option<Date>,
    /// Dates that move with the days, such as `THIS_YEAR`; instead of `from` and `to`.
    range: Option<RelativeRange>,
    /// Only these members: at most 1,000 ids. An empty list matches nobody.
    user_ids: Option<Vec<i32>>,
    /// Only members whose membership is active now (true), or is not (false).
    is_active: Option<bool>,
}

impl RetentionFilterInput {
    fn into_filter(self, here: reports::Here, basis: TimeBasis) -> Result<TokenFilter, InvalidArgument> {
        Ok(TokenFilter {
            range: here.range(
                self.range.map(Into::into),
                input::text(self.from.as_ref()),
                input::text(self.to.as_ref()),
            )?,
            users: UserFilter::new("filter.userIds", self.user_ids, DateRange::default(), self.is_active)?,
            zone: here.zone,
            basis: basis.into(),
            ..TokenFilter::default()
        })
    }
}

/// Members who joined, or first came, in the same period.
#[derive(Debug, SimpleObject)]
struct RetentionCohort {
    /// The period's first local date.
    start: Date,
    /// What to call the period: `2026-10`, or `2026-W43`.
    label: String,
    /// How many members the cohort has.
    members: i64,
    /// The cohort's own period (index 0), and the `periods` after it.
    periods: Rows<RetentionPeriod>,
}

impl From<&reports::Cohort> for RetentionCohort {
    fn from(cohort: &reports::Cohort) -> Self {
        let period = |(index, period): (i32, &reports::CohortPeriod)| RetentionPeriod {
            index,
            start: period.start.into(),
            active: period.active,
            rate: period.rate(cohort.members),
            is_partial: period.is_partial,
        };
        Self {
            start: cohort.start.into(),
            label: cohort.label.clone(),
            members: cohort.members,
            periods: Rows((0..).zip(&cohort.periods).map(period).collect()),
        }
    }
}

/// What became of a cohort in a period.
#[derive(Debug, SimpleObject)]
struct RetentionPeriod {
    /// How many periods after the cohort's own: 0 is the one in which its members joined, or first came.
    index: i32,
    /// The period's first local date.
    start: Date,
    /// How many of the cohort's members came in the period; null while it has not begun, and where it was over before the
    /// first door code ever: nobody could come then.
    active: Option<i64>,
    /// `active` divided by the cohort's `members`; null where either is missing.
    rate: Option<f64>,
    /// True while the period is not over: its numbers still grow.
    is_partial: bool,
}

impl Row for RetentionPeriod {
    fn value(&self, field: &str) -> Option<Value> {
        Some(match field {
            "index" => self.index.to_value(),
            "start" => self.start.to_value(),
            "active" => self.active.to_value(),
            "rate" => self.rate.to_value(),
            "isPartial" => self.is_partial.to_value(),
            _ => return None,
        })
    }
}

fn cost(periods: i32, child_complexity: usize) -> usize {
    let periods = usize::try_from(periods).unwrap_or(0).saturating_add(1);
    limits::cost(USUAL_COHORTS.saturating_mul(periods), child_complexity)
}
