//! `frequency`: how many members came how often.

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
            scalars::TimeZone,
        },
    },
    reports::{self, Argument, Session},
};

/// The number of rows that the cost assumes.
const USUAL_ROWS: usize = 100;

/// The root of `frequency`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct FrequencyQuery;

#[Object]
impl FrequencyQuery {
    /// The number of members for each number of visits: how many came once, twice, and so on, in the range of the
    /// filter. Rows are ordered by `visits`, ascending. Members who did not come are in no row.
    #[graphql(complexity = "cost::of(USUAL_ROWS, child_complexity)")]
    async fn frequency(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The door codes that count. All door codes count when the filter is left out.")]
        filter: Option<TokenFilterInput>,
        #[graphql(desc = "The time zone of the dates in `filter`. It is the default zone when it is left out: UTC \
                                  unless configured otherwise.")]
        time_zone: Option<TimeZone>,
        #[graphql(
            desc = "The time that decides whether a visit is in the range: the time at which its door code was \
                    issued, or the time at which it was used. It is the default basis when it is left out: \
                    `ISSUED_AT` unless configured otherwise."
        )]
        basis: Option<TimeBasis>,
    ) -> Option<Result<Rows<VisitFrequency>>> {
        let rows = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let filter = filter.unwrap_or_default().into_filter(ctx, here, basis)?;
            ctx.data_unchecked::<Arc<Session>>().frequency(&filter).await
        };
        Some(rows.await.map(|rows| Rows(rows.into_iter().map(Into::into).collect())).map_err(client_error))
    }
}

/// The members who came the same number of times.
#[derive(Debug, SimpleObject)]
struct VisitFrequency {
    /// The number of visits of each of these members: 1 or more.
    visits: i64,
    /// The number of members who came exactly this number of times.
    members: i64,
    /// The number of members who came at least this number of times.
    members_at_least: i64,
}

row!(VisitFrequency: visits, members, members_at_least);

impl From<reports::Frequency> for VisitFrequency {
    fn from(row: reports::Frequency) -> Self {
        let reports::Frequency { visits, members, members_at_least } = row;
        Self { visits, members, members_at_least }
    }
}
