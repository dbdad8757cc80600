//! Members by how long ago their last visit was.

use chrono::{Days, NaiveDate};

use super::{
    Argument, InvalidArgument, Session, checked_size,
    filter::{TimeBasis, UserFilter, UserVisitsFilter, VisitsRange},
    model::UserVisits,
    range::DateRange,
    time_zone::Zone,
};

/// The largest threshold, in days.
const MAX_THRESHOLD: usize = 3_650;

/// A segment of members. Every member is in exactly one of the last four; new members are in `New` as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberSegment {
    /// Joined recently.
    New,
    /// Visited recently.
    Active,
    /// Last visited longer ago than active members, but not yet lapsed.
    Lapsing,
    /// Last visited so long ago that they probably left.
    Lapsed,
    /// Never visited.
    NeverCame,
}

/// The thresholds between segments, in local days. Each is the last day that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    new_within: u64,
    active_within: u64,
    lapsed_after: u64,
}

impl Thresholds {
    /// Members are new up to `new_within` days after they joined, active up to `active_within` days after their last
    /// visit, and lapsed more than `lapsed_after` days after it.
    ///
    /// # Errors
    /// When a number is not in `1..=3650`, or `active_within` exceeds `lapsed_after`.
    pub fn new(new_within: i32, active_within: i32, lapsed_after: i32) -> Result<Self, InvalidArgument> {
        let days = |argument, days| checked_size(argument, days, MAX_THRESHOLD).map(|days| days as u64);
        let thresholds = Self {
            new_within: days(Argument::NEW_WITHIN_DAYS, new_within)?,
            active_within: days(Argument::ACTIVE_WITHIN_DAYS, active_within)?,
            lapsed_after: days(Argument::LAPSED_AFTER_DAYS, lapsed_after)?,
        };
        if active_within > lapsed_after {
            let problem = format!("is {lapsed_after}, which is less than ");
            return Err(InvalidArgument::new(Argument::LAPSED_AFTER_DAYS, problem)
                .and(Argument::ACTIVE_WITHIN_DAYS, format!(", {active_within}")));
        }
        Ok(thresholds)
    }

    /// The first days of the segments.
    pub(super) fn since(self, today: NaiveDate) -> Since {
        let ago = |days: u64| today.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN);
        Since { new: ago(self.new_within), active: ago(self.active_within), lapsing: ago(self.lapsed_after) }
    }

    /// The segment of a member whose last visit was this many days ago. Never returns `New`.
    #[must_use]
    pub fn segment(self, days_since_last_visit: Option<i64>) -> MemberSegment {
        let within = |days, threshold: u64| u64::try_from(days).unwrap_or(0) <= threshold;
        match days_since_last_visit {
            None => MemberSegment::NeverCame,
            Some(days) if within(days, self.active_within) => MemberSegment::Active,
            Some(days) if within(days, self.lapsed_after) => MemberSegment::Lapsing,
            Some(_) => MemberSegment::Lapsed,
        }
    }
}

/// The first local days on which a member had to join, or to come, to be in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    pub(super) new: NaiveDate,
    pub(super) active: NaiveDate,
    pub(super) lapsing: NaiveDate,
}

impl Session {
    /// The `user_visits` filter for the members of a segment, or for all members. It counts the visits of all time, by
    /// time of use.
    #[must_use]
    pub fn segment_filter(
        &self,
        segment: Option<MemberSegment>,
        thresholds: Thresholds,
        users: UserFilter,
        zone: Zone,
    ) -> UserVisitsFilter {
        let today = zone.date_at(self.now());
        let since = thresholds.since(today);
        let mut filter = UserVisitsFilter {
            users,
            zone,
            basis: TimeBasis::UsedAt,
            include_users_without_visits: true,
            ..UserVisitsFilter::default()
        };
        match segment {
            None => {}
            Some(MemberSegment::New) => filter.users = filter.users.joined_since(since.new),
            Some(MemberSegment::Active) => filter.last_visit_from = Some(since.active),
            Some(MemberSegment::Lapsing) => {
                filter.last_visit_from = Some(since.lapsing);
                filter.last_visit_before = Some(since.active);
            }
            Some(MemberSegment::Lapsed) => filter.last_visit_before = Some(since.lapsing),
            Some(MemberSegment::NeverCame) => filter.visits = VisitsRange::NONE,
        }
        filter
    }

    /// How many local days ago the member's last visit was; `None` when they never visited. A visit in the future,
    /// which happens when clocks differ, counts as today (0).
    #[must_use]
    pub fn days_since_last_visit(&self, member: &UserVisits, zone: Zone) -> Option<i64> {
        let last = zone.date_at(member.last_visit_at?.and_utc());
        Some((zone.date_at(self.now()) - last).num_days().max(0))
    }
}

impl UserFilter {
    fn joined_since(mut self, date: NaiveDate) -> Self {
        let from = self.joined.from().map_or(date, |from| from.max(date));
        self.joined = DateRange::unordered(Some(from), self.joined.to());
        self
    }
}
