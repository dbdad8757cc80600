//! `membership`: how many members joined, came for the first time, came again, and stopped coming.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        reports::usage::Granularity,
        types::{
            inputs::{self, TimeBasis, TokenFilterInput, Weekday, week},
            rows::{Rows, row},
            scalars::{DateTime, EpochMillis, TimeZone},
        },
    },
    reports::{self, Argument, MembershipQuestion, Session},
};

/// The number of rows that the cost assumes.
const USUAL_BUCKETS: usize = 366;

/// The root of `membership`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct MembershipQuery;

#[Object]
impl MembershipQuery {
    /// Growth and churn, by day, week, month, quarter or year of the local calendar: how many members joined, came for
    /// the first time, came again, and stopped coming. There is a row for every bucket of the range.
    #[graphql(complexity = "cost::of(USUAL_BUCKETS, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the field's arguments")]
    async fn membership(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The length of a bucket: a day or longer.", default_with = "Granularity::Month")]
        granularity: Granularity,
        #[graphql(
            desc = "The range, the members, and the visits that count. Everything counts when the filter is left \
                          out. An open beginning is the first bucket in which a member joined or came; an open end is \
                          today. `weekdays` is about visits, not about joining and stopping."
        )]
        filter: Option<TokenFilterInput>,
        #[graphql(desc = "The time zone of the calendar, and of the dates in `filter`. It is the default zone when \
                                  it is left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
        #[graphql(
            desc = "The time that assigns a visit to a day: the time at which its door code was issued, or the time \
                    at which it was used. It is the default basis when it is left out: `ISSUED_AT` unless \
                    configured otherwise."
        )]
        basis: Option<TimeBasis>,
        #[graphql(desc = "The day on which weeks start. Weeks start on Monday when it is left out. It is only \
                          allowed with the granularity `WEEK`, or with the ranges `THIS_WEEK` and `LAST_WEEK`.")]
        week_start: Option<Weekday>,
        #[graphql(
            desc = "The number of local days without a visit after which a member has stopped: 1 to 3650. With 90, a \
                    member stops on the 91st day after the last visit, and is then `LAPSED` in `members`.",
            default = 90
        )]
        stopped_after_days: i32,
    ) -> Option<Result<Rows<Membership>>> {
        let rows = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), week_start)?;
            let filter = filter.unwrap_or_default();
            let relative = filter.range.map(Into::into);
            let filter = filter.into_filter(ctx, here, basis)?;
            let (granularity, week_start) = (granularity.into(), week(week_start));
            let question = MembershipQuestion::new(filter, granularity, week_start, relative, stopped_after_days)?;
            ctx.data_unchecked::<Arc<Session>>().membership(&question).await
        };
        Some(rows.await.map(|rows| Rows(rows.iter().map(Membership::from).collect())).map_err(client_error))
    }
}

/// One bucket of growth and churn.
#[derive(Debug, SimpleObject)]
struct Membership {
    /// The instant, in UTC, at which the bucket starts.
    start: DateTime,
    /// `start` as milliseconds since 1970-01-01T00:00:00Z, for the axis of a chart.
    start_millis: EpochMillis,
    /// The instant, in UTC, at which the bucket ends and the next bucket starts.
    end: DateTime,
    /// The name of the bucket in local time, as in `usage`.
    label: String,
    /// The number of members who joined in the bucket.
    joined: i64,
    /// The number of members who came in the bucket: `firstVisits` and `returning` together.
    active: i64,
    /// The number of members whose first visit ever is in the bucket.
    first_visits: i64,
    /// The number of members who came in the bucket and had come before it.
    returning: i64,
    /// The number of members who stopped coming in the bucket: on a day of it, their last visit became more than
    /// `stoppedAfterDays` days ago. Who comes again later stays counted here, and can stop once more.
    stopped: i64,
    /// True while the bucket is not over, and where the range contains only some of its days.
    is_partial: bool,
}

row!(Membership: start, start_millis, end, label, joined, active, first_visits, returning, stopped, is_partial);

impl From<&reports::Membership> for Membership {
    fn from(row: &reports::Membership) -> Self {
        let start = row.place.start();
        Self {
            start: DateTime(start),
            start_millis: EpochMillis(start.timestamp_millis()),
            end: DateTime(row.place.end()),
            label: row.place.label(),
            joined: row.joined,
            active: row.active,
            first_visits: row.first_visits,
            returning: row.returning(),
            stopped: row.stopped,
            is_partial: row.place.is_partial,
        }
    }
}
