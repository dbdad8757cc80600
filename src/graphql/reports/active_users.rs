//! `activeUsers`: members who came on a day, in the week and in the month that end with it.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        types::{
            inputs::{self, TimeBasis, TokenFilterInput},
            rows::{Rows, row},
            scalars::{Date, DateTime, EpochMillis, TimeZone},
        },
    },
    reports::{self, Argument, Session},
};

/// The number of rows that the cost assumes.
const USUAL_DAYS: usize = 366;

/// The root of `activeUsers`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct ActiveUsersQuery;

#[Object]
impl ActiveUsersQuery {
    /// The number of different members who came, for each day: on the day itself, in the 7 days, and in the 30 days
    /// that end with the day. The counts are exact, and include visits before the range. At most 1,100 days.
    #[graphql(complexity = "cost::of(USUAL_DAYS, child_complexity)")]
    async fn active_users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The door codes that count. All door codes count when the filter is left out. An open \
                          beginning is the day of the first visit; an open end is today, or the day of the last \
                          visit where that is later.")]
        filter: Option<TokenFilterInput>,
        #[graphql(desc = "The time zone of the days, and of the dates in `filter`. It is the default zone when it \
                                  is left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
        #[graphql(
            desc = "The time that assigns a visit to a day: the time at which its door code was issued, or the time \
                    at which it was used. It is the default basis when it is left out: `ISSUED_AT` unless \
                    configured otherwise."
        )]
        basis: Option<TimeBasis>,
    ) -> Option<Result<Rows<ActiveUsers>>> {
        let days = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let filter = filter.unwrap_or_default().into_filter(ctx, here, basis)?;
            ctx.data_unchecked::<Arc<Session>>().active_users(&filter).await
        };
        Some(days.await.map(|days| Rows(days.iter().map(ActiveUsers::from).collect())).map_err(client_error))
    }
}

/// The numbers of different members with a visit, up to and including one local day.
#[derive(Debug, SimpleObject)]
struct ActiveUsers {
    /// The local date.
    date: Date,
    /// The instant, in UTC, at which the day starts.
    starts_at: DateTime,
    /// `startsAt` as milliseconds since 1970-01-01T00:00:00Z, for the axis of a chart.
    starts_at_millis: EpochMillis,
    /// The number of members who came on the day (DAU).
    daily: i64,
    /// The number of members who came in the 7 days that end with the day (WAU).
    weekly: i64,
    /// The number of members who came in the 30 days that end with the day (MAU).
    monthly: i64,
    /// `daily` divided by `monthly`. The nearer it is to 1, the more members come every day. Null when nobody came in
    /// the 30 days.
    stickiness: Option<f64>,
    /// True while the day is not over. The numbers of a partial day still grow.
    is_partial: bool,
}

row!(ActiveUsers: date, starts_at, starts_at_millis, daily, weekly, monthly, stickiness, is_partial);

impl From<&reports::ActiveUsers> for ActiveUsers {
    fn from(day: &reports::ActiveUsers) -> Self {
        let starts_at = day.starts_at();
        Self {
            date: day.date.into(),
            starts_at: DateTime(starts_at),
            starts_at_millis: EpochMillis(starts_at.timestamp_millis()),
            daily: day.daily,
            weekly: day.weekly,
            monthly: day.monthly,
            stickiness: day.stickiness(),
            is_partial: day.is_partial,
        }
    }
}
