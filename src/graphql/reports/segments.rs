//! `segments`: how many members each segment has.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};

use crate::{
    graphql::{
        cost,
        error::client_error,
        guard,
        reports::members::{MemberSegment, MembersFilterInput},
        types::{
            inputs,
            rows::{Rows, row},
            scalars::TimeZone,
        },
    },
    reports::{self, Argument, Session, Thresholds},
};

/// The number of segments.
const ROWS: usize = 5;

/// The root of `segments`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct SegmentsQuery;

#[Object]
impl SegmentsQuery {
    /// The number of members in each segment of `members`: always five rows, in the order of `MemberSegment`. The rows
    /// but `NEW` add up to all members, and members in `NEW` are in one of the others as well.
    #[graphql(complexity = "cost::of(ROWS, child_complexity)")]
    async fn segments(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The number of local days after the day of joining for which a member is new: 1 to 3650.",
            default = 30
        )]
        new_within_days: i32,
        #[graphql(
            desc = "The number of local days after the day of the last visit for which a member is active: 1 to \
                    3650.",
            default = 30
        )]
        active_within_days: i32,
        #[graphql(
            desc = "The number of local days after the day of the last visit beyond which a member has lapsed: 1 to \
                    3650, and not less than `activeWithinDays`.",
            default = 90
        )]
        lapsed_after_days: i32,
        #[graphql(desc = "The members to count. All members are counted when the filter is left out. `userIds`, \
                          `joinedFrom`, `joinedTo` and `nameContains` need the scope `members`.")]
        filter: Option<MembersFilterInput>,
        #[graphql(desc = "The time zone of the days, and of the dates in `filter`. It is the default zone when it \
                                  is left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
    ) -> Option<Result<Rows<SegmentSize>>> {
        let sizes = async {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let thresholds = Thresholds::new(new_within_days, active_within_days, lapsed_after_days)?;
            let users = guard::permitted(ctx, filter.unwrap_or_default().users(here)?)?;
            ctx.data_unchecked::<Arc<Session>>().segments(thresholds, users, here.zone).await
        };
        Some(sizes.await.map(|sizes| Rows(sizes.into_iter().map(Into::into).collect())).map_err(client_error))
    }
}

/// The size of a segment.
#[derive(Debug, SimpleObject)]
struct SegmentSize {
    /// The segment.
    segment: MemberSegment,
    /// The number of members in the segment.
    members: i64,
    /// The number of these members whose membership is active now. For `LAPSED`, for example, they are those who still
    /// pay and no longer come.
    active_members: i64,
}

row!(SegmentSize: segment, members, active_members);

impl From<reports::SegmentSize> for SegmentSize {
    fn from(size: reports::SegmentSize) -> Self {
        let reports::SegmentSize { segment, members, active_members } = size;
        Self { segment: segment.into(), members, active_members }
    }
}
