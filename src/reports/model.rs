//! The results of reports. A measure is `None` when it was not requested, or in a gap that is filled without measures.

use chrono::NaiveDateTime;

/// Measures of some door codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Door codes used, counted at the time that the filter's time basis selects.
    pub visits: Option<i64>,
    /// Door codes issued.
    pub tokens_issued: Option<i64>,
    /// Door codes issued and not used so far.
    pub tokens_unused: Option<i64>,
    /// Number of different members among the visits.
    pub unique_visitors: Option<i64>,
    /// How many of these never came before, by the same time basis.
    pub new_visitors: Option<i64>,
}

impl Figures {
    /// Visits per issued door code; `None` when none was issued. By time of use it can exceed 1, since a door code may
    /// be used on a later day than it was issued.
    #[must_use]
    pub fn conversion_rate(&self) -> Option<f64> {
        ratio(self.visits?, self.tokens_issued?)
    }

    /// How many of the visitors came before already.
    #[must_use]
    pub fn returning_visitors(&self) -> Option<i64> {
        Some(self.unique_visitors? - self.new_visitors?)
    }

    /// Visits divided by visitors; `None` without any.
    #[must_use]
    pub fn visits_per_visitor(&self) -> Option<f64> {
        ratio(self.visits?, self.unique_visitors?)
    }
}

/// One member's visits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserVisits {
    /// The member's id.
    pub user_id: i32,
    /// Door codes used.
    pub visits: i64,
    /// Door codes issued.
    pub tokens_issued: i64,
    /// Door codes issued and not used so far.
    pub tokens_unused: i64,
    /// The earliest visit, in UTC.
    pub first_visit_at: Option<NaiveDateTime>,
    /// The latest visit, in UTC.
    pub last_visit_at: Option<NaiveDateTime>,
    /// When the member joined, in UTC; `None` when `users` has no such row.
    pub joined_at: Option<NaiveDateTime>,
    /// Whether the membership is active; `None` when `users` has no such row.
    pub is_active: Option<bool>,
    /// Given and family name; `None` when not requested, or when `users` has no such row.
    pub name: Option<(String, String)>,
    /// 1 plus the number of members with more visits; 0 when not requested.
    pub rank: i64,
}

/// Sums over all members that a `user_visits` filter matches, not only one page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserVisitsTotals {
    /// Members matched.
    pub users: i64,
    /// Door codes used.
    pub visits: i64,
    /// Door codes issued.
    pub tokens_issued: i64,
    /// Door codes issued and not used so far.
    pub tokens_unused: i64,
}

impl UserVisitsTotals {
    /// Visits per issued door code; `None` when none was issued.
    #[must_use]
    pub fn conversion_rate(&self) -> Option<f64> {
        ratio(self.visits, self.tokens_issued)
    }

    /// These sums without the given members.
    #[must_use]
    pub fn without(mut self, members: &[UserVisits]) -> Self {
        for member in members {
            self.users -= 1;
            self.visits -= member.visits;
            self.tokens_issued -= member.tokens_issued;
            self.tokens_unused -= member.tokens_unused;
        }
        self
    }
}

/// One page of `user_visits`, in the requested order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserVisitsPage {
    /// The members on the page.
    pub rows: Vec<UserVisits>,
    /// Sums over the whole filtered set, if requested.
    pub totals: Option<UserVisitsTotals>,
    /// Whether there are members before this page (false when not requested).
    pub has_previous: bool,
    /// Whether there are members after this page (false when not requested).
    pub has_next: bool,
}

/// `part / whole`; `None` when `whole` is 0.
#[expect(clippy::cast_precision_loss, reason = "counts of tokens stay far below 2^53")]
#[must_use]
pub fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// The difference `now - before`; `None` when either is `None`.
#[must_use]
pub fn change(now: Option<i64>, before: Option<i64>) -> Option<i64> {
    Some(now? - before?)
}

/// The difference `now - before` divided by `before`; `None` when either is `None`, or `before` is 0.
#[must_use]
pub fn change_ratio(now: Option<i64>, before: Option<i64>) -> Option<f64> {
    ratio(now? - before?, before?)
}

/// The difference of two rates; `None` when either is `None`.
#[must_use]
pub fn rate_change(now: Option<f64>, before: Option<f64>) -> Option<f64> {
    Some(now? - before?)
}

/// The difference of two rates divided by the earlier rate; `None` when either is `None`, or the earlier is 0.
#[must_use]
pub fn rate_change_ratio(now: Option<f64>, before: Option<f64>) -> Option<f64> {
    let rate = before.filter(|rate| *rate != 0.0)?;
    Some((now? - rate) / rate)
}
