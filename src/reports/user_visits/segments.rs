//! How many members each segment has.

use chrono::NaiveDate;
use sea_orm::sea_query::{Cond, Expr, ExprTrait as _, Query, SelectStatement};

use super::{UserVisitsParts, name, when};
use crate::reports::{
    Error, MemberSegment, Session, Thresholds, dialect::instant, filter::UserFilter, made, time_zone::Zone,
};

/// The size of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSize {
    /// The segment.
    pub segment: MemberSegment,
    /// How many members are in it.
    pub members: i64,
    /// How many of them have an active membership now.
    pub active_members: i64,
}

/// All segments, with the columns of their sizes.
const SEGMENTS: [(MemberSegment, &str, &str); 5] = [
    (MemberSegment::New, "new", "new_active"),
    (MemberSegment::Active, "active", "active_active"),
    (MemberSegment::Lapsing, "lapsing", "lapsing_active"),
    (MemberSegment::Lapsed, "lapsed", "lapsed_active"),
    (MemberSegment::NeverCame, "never_came", "never_came_active"),
];

impl Session {
    /// The sizes of all segments, in the order of [`MemberSegment`], counted in one pass. Each is the length of the list
    /// of members of the segment.
    ///
    /// # Errors
    /// What the database says.
    pub async fn segments(
        &self,
        thresholds: Thresholds,
        users: UserFilter,
        zone: Zone,
    ) -> Result<Vec<SegmentSize>, Error> {
        made("segments", async {
            let statement = |from_rollup| self.segments_statement(thresholds, &users, zone, from_rollup);
            let rows = match self.query_rollup(&statement(true)).await? {
                Some(rows) => rows,
                None => self.query_all(&statement(false)).await?,
            };
            let mut sizes = Vec::with_capacity(SEGMENTS.len());
            for row in &rows {
                for (segment, members, active_members) in SEGMENTS {
                    let (members, active_members) = (row.try_get("", members)?, row.try_get("", active_members)?);
                    sizes.push(SegmentSize { segment, members, active_members });
                }
            }
            Ok(sizes)
        })
        .await
    }

    fn segments_statement(
        &self,
        thresholds: Thresholds,
        users: &UserFilter,
        zone: Zone,
        from_rollup: bool,
    ) -> SelectStatement {
        let backend = self.backend();
        let start = |date: NaiveDate| instant(backend, zone.start_of_day(date).naive_utc());
        let last = || Expr::col(name::LAST);
        let since = thresholds.since(zone.date_at(self.now()));
        let condition = |segment| match segment {
            MemberSegment::New => Expr::col(name::JOINED).gte(start(since.new)),
            MemberSegment::Active => last().gte(start(since.active)),
            MemberSegment::Lapsing => last().gte(start(since.lapsing)).and(last().lt(start(since.active))),
            MemberSegment::Lapsed => last().lt(start(since.lapsing)),
            MemberSegment::NeverCame => Expr::col(name::VISITS).eq(0),
        };
        let parts = UserVisitsParts { visit_times: true, membership: true, ..UserVisitsParts::default() };
        let everyone = self.segment_filter(None, thresholds, users.clone(), zone);
        let mut select = Query::select();
        for (segment, members, active_members) in SEGMENTS {
            let is_active = Cond::all().add(condition(segment)).add(Expr::col(name::ACTIVE));
            select
                .expr_as(when(condition(segment), 1).count(), members)
                .expr_as(when(is_active, 1).count(), active_members);
        }
        select.from(name::MEMBERS).with_cte(self.listed(&everyone, parts, from_rollup)).take()
    }
}
