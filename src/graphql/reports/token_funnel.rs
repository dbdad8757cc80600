//! `tokenFunnel`: the use of door codes, and the time from their issue to their use.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        types::{
            inputs::{self, TimeBasis, TokenFilterInput},
            scalars::{Seconds, TimeZone},
        },
    },
    reports::{self, Argument, Session},
};

/// The root of `tokenFunnel`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct TokenFunnelQuery;

#[Object]
impl TokenFunnelQuery {
    /// The use of the door codes that were issued in a range: the number that were used, and the time from their
    /// issue to their use.
    #[graphql(complexity = "cost::of(1, child_complexity)")]
    async fn token_funnel(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The door codes that count, by the day on which they were issued. All door codes count when \
                    the filter is left out."
        )]
        filter: Option<TokenFilterInput>,
        #[graphql(desc = "The time zone of the dates in `filter`. It is the default zone when it is left out: UTC \
                                  unless configured otherwise.")]
        time_zone: Option<TimeZone>,
    ) -> Option<Result<TokenFunnel>> {
        let funnel = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let filter = filter.unwrap_or_default().into_filter(ctx, here, Some(TimeBasis::IssuedAt))?;
            ctx.data_unchecked::<Arc<Session>>().token_funnel(&filter).await
        };
        Some(funnel.await.map(TokenFunnel::from).map_err(client_error))
    }
}

/// The use of door codes.
#[derive(Debug, SimpleObject)]
struct TokenFunnel {
    /// Door codes issued.
    issued: i64,
    /// Door codes issued in the range and used so far.
    used: i64,
    /// Door codes issued in the range and not used so far.
    unused: i64,
    /// `used` divided by `issued`; null when no door code was issued.
    conversion_rate: Option<f64>,
    /// Used door codes whose use is recorded before their issue, which happens when clocks differ. `timeToUse` does
    /// not include these door codes.
    used_before_issued: i64,
    /// The time from the issue of the used door codes to their use.
    time_to_use: TimeToUse,
}

/// The time from the issue of a door code to its use, in whole seconds, rounded down. Percentiles are computed by
/// nearest rank, so that they are values that occur.
#[derive(Debug, SimpleObject)]
struct TimeToUse {
    /// The number of door codes that the percentiles cover: door codes used, and not before their issue.
    count: i64,
    /// The number of seconds that half of the door codes did not exceed; null when `count` is 0.
    median: Option<Seconds>,
    /// The number of seconds that 90 percent of the door codes did not exceed; null when `count` is 0.
    p90: Option<Seconds>,
    /// The number of seconds that 99 percent of the door codes did not exceed; null when `count` is 0.
    p99: Option<Seconds>,
}

impl From<reports::TokenFunnel> for TokenFunnel {
    fn from(funnel: reports::TokenFunnel) -> Self {
        let reports::TokenFunnel { issued, used, used_before_issued, timed, median, p90, p99 } = funnel;
        Self {
            issued,
            used,
            unused: issued - used,
            conversion_rate: funnel.conversion_rate(),
            used_before_issued,
            time_to_use: TimeToUse {
                count: timed,
                median: median.map(Seconds),
                p90: p90.map(Seconds),
                p99: p99.map(Seconds),
            },
        }
    }
}
