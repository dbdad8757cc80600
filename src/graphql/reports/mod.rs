//! The reports as fields of the schema. Each is a file with the field, its inputs and its types. A resolver converts
//! its arguments into a question of [`crate::reports`], asks it, and converts the answer.

mod active_users;
mod daily_usage;
mod forecast;
mod frequency;
mod heatmap;
mod members;
mod membership;
mod notes;
mod retention;
mod segments;
mod series;
mod token_funnel;
mod usage;
mod user_visits;

use async_graphql::MergedObject;

use self::{
    active_users::ActiveUsersQuery, daily_usage::DailyUsageQuery, forecast::ForecastQuery, frequency::FrequencyQuery,
    heatmap::HeatmapQuery, members::MembersQuery, membership::MembershipQuery, notes::NotesQuery,
    retention::RetentionQuery, segments::SegmentsQuery, token_funnel::TokenFunnelQuery, usage::UsageQuery,
    user_visits::UserVisitsQuery,
};

/// The fields of all reports.
#[derive(Debug, Default, MergedObject)]
pub struct Reports(
    DailyUsageQuery,
    UsageQuery,
    HeatmapQuery,
    ActiveUsersQuery,
    FrequencyQuery,
    RetentionQuery,
    TokenFunnelQuery,
    UserVisitsQuery,
    MembersQuery,
    SegmentsQuery,
    MembershipQuery,
    ForecastQuery,
    NotesQuery,
);

/// Reports on the check-ins of a coworking space. Members get one-time door codes, and a door code that was used is a
/// visit; fields and types call door codes `tokens`. Dates are local to the time zone that you give, and both ends of
/// a range are included. Measures that you do not select are not computed. Every field needs the scope `reports`,
/// except `members`, which needs the scope `members`; further fields and filters that need the scope `members` say
/// so.
#[derive(Debug, Default, MergedObject)]
pub struct Query(Reports);
