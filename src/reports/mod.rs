//! The domain: what a coworking space's check-ins say. It knows SeaORM and the two tables, and
//! neither HTTP nor GraphQL; every face of the gateway asks here, so every face gives the same numbers.
//!
//! A report is a file: a method of [`Session`] that answers a question (`asking`) by statements (`counting`).

mod asking;
mod counting;

mod active_users;
mod daily_usage;
mod frequency;
mod heatmap;
mod members;
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
    asking::{filter, page, range, time_zone},
    calendar::{Granularity, Week},
    counting::rollup::{self, Rollup},
    counts::Measures,
    daily_usage::{DailyUsageField, DailyUsageOrder},
    error::Error,
    frequency::Frequency,
    heatmap::{Heatmap, HeatmapCell},
    here::Here,
    legacy::LegacyDailyUsage,
    members::{MemberSegment, Thresholds},
    retention::{Cohort, CohortAnchor, CohortPeriod, CohortUnit, MAX_COHORTS, MAX_PERIODS, RetentionQuestion},
    running::{AdditiveMeasure, MAX_AVERAGED, Running, checked_average},
    series::{MAX_BUCKETS, SeriesRow, UsageQuestion},
    session::{Reports, Session, Wait},
    token_funnel::TokenFunnel,
    usage::{
        Series,
        comparison::{self, Before, Extent},
    },
    user_visits::UserVisitsParts,
    users::Member,
    version::Version,
};
use self::{
    asking::{argument, calendar, here},
    counting::{counts, dialect, selection, version},
    session::made,
    usage::{running, series},
};
