//! The cost of fields, in the units of the complexity limit and of callers' budgets.

/// The cost of a report itself, without its rows.
pub const REPORT_COST: usize = 1_000;
/// From this cost on, a question is heavy: it shares half of the database's connections with its like. A year of days
/// with all measures costs less, a page of a thousand members with five fields costs more.
pub(in crate::graphql) const HEAVY_COST: usize = 5_000;
/// More than any limit, and small enough that sums of costs do not overflow.
const COST_MAX: usize = 1 << 40;

/// The cost of a report with this number of rows, and this number of values per row.
pub(in crate::graphql) fn of(rows: usize, values: usize) -> usize {
    rows.saturating_mul(values).saturating_add(REPORT_COST).min(COST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_never_overflow() {
        assert_eq!(of(10, 3), 1_030);
        assert_eq!(of(usize::MAX, usize::MAX), COST_MAX);
        assert!(COST_MAX.checked_mul(1_000_000).is_some(), "a million such fields can be added up");
    }
}
