//! What reports answer with. A measure that was not asked for, or that stands in a filled gap, is `None`.

use chrono::NaiveDateTime;

/// Measures of some tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Tokens used, where the filter's time basis puts them.
    pub visits: Option<i64>,
    /// Tokens issued.
    pub tokens_issued: Option<i64>,
    /// Tokens issued and not used so far.
    pub tokens_unused: Option<i64>,
    /// Different members among the visits.
    pub unique_visitors: Option<i64>,
}

impl Figures {
    /// Visits per issued token; `None` when none was issued. By the time of use it can exceed 1,
    /// since a token may be used on a later day than its own.
    #[must_use]
    pub fn conversion_rate(&self) -> Option<f64> {
        ratio(self.visits?, self.tokens_issued?)
    }
}

/// One member's visits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserVisits {
    /// The member's id.
    pub user_id: i32,
    /// Tokens used.
    pub visits: i64,
    /// Tokens issued.
    pub tokens_issued: i64,
    /// Tokens issued and not used so far.
    pub tokens_unused: i64,
    /// The earliest visit, in UTC.
    pub first_visit_at: Option<NaiveDateTime>,
    /// The latest visit, in UTC.
    pub last_visit_at: Option<NaiveDateTime>,
    /// When the member joined, in UTC; `None` when there is no such row in `users`.
    pub joined_at: Option<NaiveDateTime>,
    /// Whether the membership is active; `None` when there is no such row in `users`.
    pub is_active: Option<bool>,
    /// Given and family name; none where they were not asked for, or there is no such row in `users`.
    pub name: Option<(String, String)>,
    /// One more than there are members with more visits; 0 where it was not asked for.
    pub rank: i64,
}

/// Sums over everything that a `user_visits` filter matches, not only one page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserVisitsTotals {
    /// Members matched.
    pub users: i64,
    /// Tokens used.
    pub visits: i64,
    /// Tokens issued.
    pub tokens_issued: i64,
    /// Tokens issued and not used so far.
    pub tokens_unused: i64,
}

impl UserVisitsTotals {
    /// Visits per issued token; `None` when none was issued.
    #[must_use]
    pub fn conversion_rate(&self) -> Option<f64> {
        ratio(self.visits, self.tokens_issued)
    }

    /// What is left of these without some of the members.
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

/// One page of `user_visits`, in the order asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserVisitsPage {
    /// The members on the page.
    pub rows: Vec<UserVisits>,
    /// Sums over the whole filtered set, if asked for.
    pub totals: Option<UserVisitsTotals>,
    /// Whether members come before this page (false when not asked for).
    pub has_previous: bool,
    /// Whether members come after this page (false when not asked for).
    pub has_next: bool,
}

/// A part of a whole; `None` where there is nothing to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts of tokens stay far below 2^53")]
#[must_use]
pub fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// How much a count differs from one before; `None` where either is.
#[must_use]
pub fn change(now: Option<i64>, before: Option<i64>) -> Option<i64> {
    Some(now? - before?)
}

/// How much a count differs from one before, divided by it; `None` where either is, or it was 0.
#[must_use]
pub fn change_ratio(now: Option<i64>, before: Option<i64>) -> Option<f64> {
    ratio(now? - before?, before?)
}

/// How much the conversion rate differs from one before.
#[must_use]
pub fn rate_change(now: &Figures, before: &Figures) -> Option<f64> {
    Some(now.conversion_rate()? - before.conversion_rate()?)
}

/// How much the conversion rate differs from one before, divided by it; `None` where it was 0.
#[must_use]
pub fn rate_change_ratio(now: &Figures, before: &Figures) -> Option<f64> {
    let rate = before.conversion_rate().filter(|rate| *rate != 0.0)?;
    Some((now.conversion_rate()? - rate) / rate)
}
