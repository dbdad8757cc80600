//! How many members each segment has.

use chrono::NaiveDate;
use sea_orm::sea_query::{Cond, Expr, ExprTrait as _, Query, SelectStatement};

use super::{UserVisitsParts, name, when};
use crate::reports::{
    Error, MemberSegment, Session, Thresholds, dialect::instant, filter::UserFilter, made, moment::micros,
    roster::Entry, time_zone::Zone,
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
            if let Some(sizes) = self.kept_segments(thresholds, &users, zone).await? {
                return Ok(sizes);
            }
            let rows = self.query_all(&self.segments_statement(thresholds, &users, zone)).await?;
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

    /// From the rollup; `None` when it cannot answer.
    async fn kept_segments(
        &self,
        thresholds: Thresholds,
        users: &UserFilter,
        zone: Zone,
    ) -> Result<Option<Vec<SegmentSize>>, Error> {
        let since = thresholds.since(zone.date_at(self.now()));
        let [new, active, lapsing] =
            [since.new, since.active, since.lapsing].map(|date| micros(zone.start_of_day(date).naive_utc()));
        let mut sizes = SEGMENTS.map(|(segment, ..)| SegmentSize { segment, members: 0, active_members: 0 });
        let count = |member: Entry| {
            let last = member.last_visit();
            for size in &mut sizes {
                let is_in = match size.segment {
                    MemberSegment::New => member.joined().is_some_and(|joined| joined >= new),
                    MemberSegment::Active => last.is_some_and(|last| last >= active),
                    MemberSegment::Lapsing => last.is_some_and(|last| lapsing <= last && last < active),
                    MemberSegment::Lapsed => last.is_some_and(|last| last < lapsing),
                    MemberSegment::NeverCame => member.counts.is_none_or(|counts| counts.used == 0),
                };
                size.members += i64::from(is_in);
                size.active_members += i64::from(is_in && member.user.is_some_and(|user| user.is_active == Some(true)));
            }
        };
        Ok(self.each_member(users, zone, count).await?.then_some(sizes.to_vec()))
    }

    fn segments_statement(&self, thresholds: Thresholds, users: &UserFilter, zone: Zone) -> SelectStatement {
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
        select.from(name::MEMBERS).with_cte(self.listed(&everyone, parts, false)).take()
    }
}
