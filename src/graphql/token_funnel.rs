//! `tokenFunnel`: from the issue of a token to its use.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};

use super::{
    error::client_error,
    guard,
    input::{self, TimeBasis, TokenFilterInput},
    limits,
    scalar::{Seconds, TimeZone},
};
use crate::reports::{self, Session};

/// The root of `tokenFunnel`.
#[derive(Debug, Default)]
pub(super) struct TokenFunnelQuery;

#[Object]
impl TokenFunnelQuery {
    /// What became of the tokens that were issued in a range: how many were used, and how long after their issue.
    #[graphql(complexity = "limits::cost(1, child_complexity)")]
    async fn token_funnel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which tokens, by the day of their issue; all when left out.")] filter: Option<
            TokenFilterInput,
        >,
        #[graphql(desc = "The zone of the dates in `filter`.", default)] time_zone: TimeZone,
    ) -> Option<Result<TokenFunnel>> {
        let funnel = async {
            guard::aggregate(ctx)?;
            let here = input::here(ctx, "timeZone", &time_zone, None)?;
            let filter = filter.unwrap_or_default().into_filter(here, TimeBasis::IssuedAt)?;
            ctx.data_unchecked::<Arc<Session>>().token_funnel(&filter).await
        };
        Some(funnel.await.map(TokenFunnel::from).map_err(client_error))
    }
}

/// What became of tokens.
#[derive(Debug, SimpleObject)]
struct TokenFunnel {
    /// Tokens issued.
    issued: i64,
    /// Those of them that were used so far.
    used: i64,
    /// Those of them that were never used so far.
    unused: i64,
    /// `used` divided by `issued`; null when none was issued.
    conversion_rate: Option<f64>,
    /// Used tokens whose use is recorded before their issue, as clocks that differ leave them. They are no part
    /// of `timeToUse`.
    used_before_issued: i64,
    /// How long used tokens took.
    time_to_use: TimeToUse,
}

/// The time from the issue of a token to its use, in whole seconds, rounded down. Percentiles are by nearest rank:
/// values that occur.
#[derive(Debug, SimpleObject)]
struct TimeToUse {
    /// How many tokens are counted here: used, and not before their issue.
    count: i64,
    /// Half of them took no longer; null when there are none.
    median: Option<Seconds>,
    /// Nine of ten took no longer.
    p90: Option<Seconds>,
    /// 99 of a hundred took no longer.
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
