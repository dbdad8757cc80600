//! The domain: reports about the visits to a coworking space. It uses SeaORM and the two tables, and knows nothing of
//! HTTP or GraphQL. GraphQL, REST and the log all call it, so they give the same numbers.
//!
//! Each report has a file with a method of [`Session`]. `asking` has the types of a request, and `counting` builds
//! the SQL statements.

mod asking;
mod counting;

mod active_users;
mod daily_usage;
mod forecast;
mod frequency;
mod heatmap;
mod members;
mod membership;
mod notes;
mod retention;
mod token_funnel;
mod usage;
mod user_visits;

mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod legacy;
pub mod model;
mod session;
mod users;

pub use self::{
    active_users::{ActiveUsers, MAX_ACTIVE_DAYS},
    argument::{Argument, InvalidArgument, checked_size},
    asking::defaults::Defaults,
    asking::{filter, name, page, range, time_zone},
    calendar::{Granularity, Week},
    counting::rollup::{self, Rollup},
    counts::Measures,
    daily_usage::{DailyUsageField, DailyUsageOrder},
    error::Error,
    forecast::{Backtest, Forecast, ForecastDay},
    frequency::Frequency,
    heatmap::{Heatmap, HeatmapCell, HeatmapParts, HeatmapSum, MAX_HEATMAP_MONTHS},
    here::Here,
    legacy::LegacyDailyUsage,
    members::{MemberSegment, Thresholds},
    membership::{Membership, MembershipQuestion},
    retention::{Cohort, CohortAnchor, CohortPeriod, CohortUnit, MAX_COHORTS, MAX_PERIODS, RetentionQuestion},
    running::{AdditiveMeasure, MAX_AVERAGED, Running, checked_average},
    series::{MAX_BUCKETS, SeriesRow, UsageQuestion},
    session::{Reports, Session, Wait},
    token_funnel::TokenFunnel,
    usage::{
        Series,
        comparison::{self, Before, Extent},
    },
    user_visits::{Placed, SegmentSize, UserVisitsBefore, UserVisitsComparison, UserVisitsParts},
    users::Member,
    version::Version,
};
use self::{
    asking::{argument, calendar, here},
    counting::{codes, counts, dialect, ids, moment, names, roster, selection, version},
    session::made,
    usage::{running, series},
};
