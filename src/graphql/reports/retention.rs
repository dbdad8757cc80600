//! `retention`: members by the period in which they joined or first came, and how many of them came in each later
//! period.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        names::give_names,
        types::{
            inputs::{self, RelativeRange, TimeBasis, Weekday, week},
            rows::{Rows, row},
            scalars::{Date, TimeZone},
        },
    },
    reports::{
        self, Argument, RetentionQuestion, Session,
        filter::{TokenFilter, UserFilter},
        range::DateRange,
    },
};

/// The number of cohorts that the cost assumes.
const USUAL_COHORTS: usize = 36;

/// The root of `retention`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct RetentionQuery;

#[Object]
impl RetentionQuery {
    /// The members who come back: members grouped by the week or month in which they joined (or first came), and the
    /// number of them who came in each period after it. At most 160 cohorts.
    #[graphql(complexity = "cost(periods, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn retention(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The length of a period.", default)] cohort: CohortPeriod,
        #[graphql(desc = "The number of periods to follow each cohort after its own: 1 to 104.", default = 12)]
        periods: i32,
        #[graphql(desc = "The event that assigns a member to a cohort.", default)] anchor: CohortAnchor,
        #[graphql(desc = "The cohorts to list, and the members that count. All cohorts and all members count when \
                          the filter is left out.")]
        filter: Option<RetentionFilterInput>,
        #[graphql(desc = "The time zone of the periods, and of the dates in `filter`. It is the default zone when \
                                  it is left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
        #[graphql(
            desc = "The time that assigns a visit to a period: the time at which its door code was issued, or the \
                    time at which it was used. It is the default basis when it is left out: `ISSUED_AT` unless \
                    configured otherwise."
        )]
        basis: Option<TimeBasis>,
        #[graphql(desc = "The day on which weeks start. Weeks start on Monday when it is left out. It is only \
                          allowed with the cohort `WEEK`, or with the ranges `THIS_WEEK` and `LAST_WEEK`.")]
        week_start: Option<Weekday>,
    ) -> Option<Result<Vec<RetentionCohort>>> {
        let cohorts = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), week_start)?;
            let filter = filter.unwrap_or_default();
            let relative = filter.range.map(Into::into);
            let filter = filter.into_filter(ctx, here, basis)?;
            let week_start = week(week_start);
            let question = RetentionQuestion::new(filter, cohort.into(), week_start, relative, periods, anchor.into())?;
            ctx.data_unchecked::<Arc<Session>>().retention(&question).await
        };
        Some(cohorts.await.map(|cohorts| cohorts.iter().map(Into::into).collect()).map_err(client_error))
    }
}

/// The length of the periods of cohorts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::CohortUnit")]
pub(in crate::graphql) enum CohortPeriod {
    /// Seven local days, starting on the day `weekStart`.
    Week,
    /// A month of the local calendar.
    #[default]
    Month,
}

give_names!(reports::CohortUnit as CohortPeriod);

/// The event that assigns a member to a cohort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::CohortAnchor")]
pub(in crate::graphql) enum CohortAnchor {
    /// A member belongs to the period in which the member joined.
    #[default]
    JoinedAt,
    /// A member belongs to the period of the member's first visit ever. Members who never came belong to no cohort.
    FirstVisit,
}

give_names!(reports::CohortAnchor as CohortAnchor);

/// The cohorts that `retention` lists, and the members that count. A member counts when all conditions are met. The
/// condition on `userIds` needs the scope `members`.
#[derive(Debug, Default, InputObject)]
struct RetentionFilterInput {
    /// Only members who joined, or first came, on this local date or later.
    from: Option<Date>,
    /// Only members who joined, or first came, on this local date or earlier.
    to: Option<Date>,
    /// A range of dates that moves with the days, such as `THIS_YEAR`, on which members joined or first came. It
    /// cannot be combined with `from` or `to`.
    range: Option<RelativeRange>,
    /// Only the members with these ids: at most 1,000 ids. An empty list matches no member. Needs the scope
    /// `members`.
    user_ids: Option<Vec<i32>>,
    /// Only members whose membership is active now (true), or is not active now (false).
    is_active: Option<bool>,
}

impl RetentionFilterInput {
    fn into_filter(
        self,
        ctx: &Context<'_>,
        here: reports::Here,
        basis: Option<TimeBasis>,
    ) -> Result<TokenFilter, reports::Error> {
        let users = UserFilter::new(Argument::USER_IDS, self.user_ids, DateRange::default(), self.is_active)?;
        Ok(TokenFilter {
            range: here.range(
                self.range.map(Into::into),
                inputs::text(self.from.as_ref()),
                inputs::text(self.to.as_ref()),
            )?,
            users: guard::permitted(ctx, users)?,
            zone: here.zone,
            basis: inputs::basis(ctx, basis),
            ..TokenFilter::default()
        })
    }
}

/// The members who joined, or first came, in the same period.
#[derive(Debug, SimpleObject)]
struct RetentionCohort {
    /// The first local date of the cohort's own period.
    start: Date,
    /// The name of the cohort's own period: `2026-10` (a month), or `2026-W43` (a week by ISO 8601; a week that does
    /// not start on Monday is named by its first date).
    label: String,
    /// The number of members in the cohort.
    members: i64,
    /// The cohort's own period (index 0), and the `periods` periods after it.
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

/// The members of a cohort who came in one period.
#[derive(Debug, SimpleObject)]
struct RetentionPeriod {
    /// The number of periods after the cohort's own. The index 0 is the period in which the members joined, or first
    /// came.
    index: i32,
    /// The first local date of the period.
    start: Date,
    /// The number of the cohort's members who came in the period. Null while the period has not begun, and where it
    /// was over before the first door code was ever issued, because nobody could come then.
    active: Option<i64>,
    /// `active` divided by the cohort's `members`. Null where `active` is null, and where the cohort has no members.
    rate: Option<f64>,
    /// True while the period is not over. The numbers of a partial period still grow.
    is_partial: bool,
}

row!(RetentionPeriod: index, start, active, rate, is_partial);

fn cost(periods: i32, child_complexity: usize) -> usize {
    let periods = usize::try_from(periods).unwrap_or(0).saturating_add(1);
    cost::of(USUAL_COHORTS.saturating_mul(periods), child_complexity)
}
