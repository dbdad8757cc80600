//! What fields cost, in the units of the limit on complexity and of a caller's budget.

/// What a report costs by itself, in the units of the limit on complexity.
pub const REPORT_COST: usize = 1_000;
/// More than any limit, and so little that sums of costs never overflow.
const COST_MAX: usize = 1 << 40;

/// What a report of so many rows costs, each of which holds so many values.
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
