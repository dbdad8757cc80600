//! What the series of `dailyUsage` and `usage` share: the selected measures, and running averages and sums.

use std::sync::Arc;

use async_graphql::{Enum, Lookahead, Value};

use crate::{
    graphql::names::camel_case,
    reports::{self, Argument, InvalidArgument, Measures, Running, SeriesRow, checked_average},
};

/// The default of the argument of averages: the number of rows.
const USUAL_AVERAGE: u32 = 7;

/// The measures that can be added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::AdditiveMeasure")]
pub(in crate::graphql) enum AdditiveMeasure {
    /// Visits: door codes that were used.
    #[default]
    Visits,
    /// Door codes issued.
    TokensIssued,
    /// Door codes issued and not used so far.
    TokensUnused,
}

/// The measures that the client selected on rows, and the most rows that an average or a sum looks back over; none when
/// neither is selected. `average` is the name of the field of averages, and `argument` is its argument.
///
/// # Errors
/// When the number of rows of an average is not allowed.
pub(in crate::graphql) fn asked(
    rows: &Lookahead<'_>,
    (argument, average): (Argument, &str),
) -> Result<(Measures, Option<u32>), InvalidArgument> {
    let selected = |field| rows.field(field).exists();
    let rate = selected("conversionRate");
    let (returning, each) = (selected("returningVisitors"), selected("visitsPerVisitor"));
    let mut measures = Measures {
        visits: rate || each || selected("visits"),
        tokens_issued: rate || selected("tokensIssued"),
        tokens_unused: selected("tokensUnused"),
        unique_visitors: returning || each || selected("uniqueVisitors"),
        new_visitors: returning || selected("newVisitors"),
        time_to_use: false,
    };
    let mut look_back = None;
    for field in ["cumulative", average] {
        for field in rows.field(field).selection_fields() {
            let arguments = field.arguments().unwrap_or_default();
            let value = |name: &str| arguments.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value);
            let over = match value(&camel_case(argument.words())) {
                Some(Value::Number(number)) => {
                    let rows = number.as_i64().and_then(|rows| i32::try_from(rows).ok()).unwrap_or(i32::MAX);
                    checked_average(argument, rows)?
                }
                _ if field.name() == average => USUAL_AVERAGE,
                _ => 1,
            };
            look_back = look_back.max(Some(over));
            match value("measure") {
                Some(Value::Enum(name)) if name.as_str() == "TOKENS_ISSUED" => measures.tokens_issued = true,
                Some(Value::Enum(name)) if name.as_str() == "TOKENS_UNUSED" => measures.tokens_unused = true,
                Some(Value::String(name)) if name == "TOKENS_ISSUED" => measures.tokens_issued = true,
                Some(Value::String(name)) if name == "TOKENS_UNUSED" => measures.tokens_unused = true,
                _ => measures.visits = true,
            }
        }
    }
    Ok((measures, look_back))
}

/// A row with its series, for running averages and sums; empty when none is selected.
#[derive(Debug)]
pub(in crate::graphql) struct Along(Option<(SeriesRow, Arc<Running>)>);

impl Along {
    pub(in crate::graphql) fn of(row: SeriesRow, running: Option<&Arc<Running>>) -> Self {
        Self(running.map(|running| (row, Arc::clone(running))))
    }

    pub(in crate::graphql) fn average(&self, rows: i32, measure: AdditiveMeasure) -> Option<f64> {
        let (row, running) = self.0.as_ref()?;
        running.average(row, u32::try_from(rows).ok()?, measure.into())
    }

    pub(in crate::graphql) fn cumulative(&self, measure: AdditiveMeasure) -> Option<i64> {
        let (row, running) = self.0.as_ref()?;
        running.cumulative(row, measure.into())
    }
}
