//! Members by how long ago they last came.

use chrono::{Days, NaiveDate};

use super::{
    Argument, InvalidArgument, Session, checked_size,
    filter::{TimeBasis, UserFilter, UserVisitsFilter, VisitsRange},
    model::UserVisits,
    range::DateRange,
    time_zone::Zone,
};

/// The longest time that a threshold may be, in days.
const MAX_THRESHOLD: usize = 3_650;

/// Where a member stands. The last four divide all members; new ones are in one of them as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberSegment {
    /// Joined a short while ago.
    New,
    /// Came a short while ago.
    Active,
    /// Came a longer while ago.
    Lapsing,
    /// Came so long ago that they are taken to be gone.
    Lapsed,
    /// Never came.
    NeverCame,
}

/// The thresholds between segments, in local days: each is the last day that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    new_within: u64,
    active_within: u64,
    lapsed_after: u64,
}

impl Thresholds {
    /// Members are new for so many days after they joined, active for so many after they came, and lapsed after.
    ///
    /// # Errors
    /// When one is not in `1..=3650`, or members would be lapsed while they are active.
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

    /// The segment, of the four that divide all members, of one whose last visit is so many days ago.
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

impl Session {
    /// The filter of `user_visits` that lists the members of a segment, or all: their visits of all time, by the time
    /// of use.
    #[must_use]
    pub fn segment_filter(
        &self,
        segment: Option<MemberSegment>,
        thresholds: Thresholds,
        users: UserFilter,
        zone: Zone,
    ) -> UserVisitsFilter {
        let today = zone.date_at(self.now());
        let ago = |days: u64| today.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN);
        let mut filter = UserVisitsFilter {
            users,
            zone,
            basis: TimeBasis::UsedAt,
            include_users_without_visits: true,
            ..UserVisitsFilter::default()
        };
        let Thresholds { new_within, active_within, lapsed_after } = thresholds;
        match segment {
            None => {}
            Some(MemberSegment::New) => filter.users = filter.users.joined_since(ago(new_within)),
            Some(MemberSegment::Active) => filter.last_visit_from = Some(ago(active_within)),
            Some(MemberSegment::Lapsing) => {
                filter.last_visit_from = Some(ago(lapsed_after));
                filter.last_visit_before = Some(ago(active_within));
            }
            Some(MemberSegment::Lapsed) => filter.last_visit_before = Some(ago(lapsed_after)),
            Some(MemberSegment::NeverCame) => filter.visits = VisitsRange::NONE,
        }
        filter
    }

    /// How many local days ago a member last came: 0 also for a visit that lies in the future, by clocks that differ; `None`
    /// for those who never did.
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
