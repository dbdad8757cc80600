//! `/api/reports/token_funnel`: the use of door codes, and the time from their issue to their use.

use crate::{
    access::Scope,
    http::rest::{
        parameters::{FORMAT, JOINED, RANGE, USERS, WEEKDAYS},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Number, Whole},
            headings, written,
        },
    },
    reports::TokenFunnel,
};

pub(in crate::http) static REPORT: Report = Report {
    name: "token_funnel",
    about: "The use of the door codes that were issued in a range, in one row: how many were used, and after how many \
            seconds.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

static COLUMNS: [Column<TokenFunnel>; 9] = [
    Column::new("issued", Whole, "Door codes issued.", |funnel| funnel.issued.into()),
    Column::new("used", Whole, "Door codes issued in the range and used so far.", |funnel| funnel.used.into()),
    Column::new("unused", Whole, "Door codes issued in the range and not used so far.", |funnel| {
        (funnel.issued - funnel.used).into()
    }),
    Column::new("conversion_rate", Number, "used divided by issued; null without door codes.", |funnel| {
        funnel.conversion_rate().into()
    }),
    Column::new("used_before_issued", Whole, "Door codes whose use is recorded before their issue.", |funnel| {
        funnel.used_before_issued.into()
    }),
    Column::new("time_to_use_count", Whole, "Door codes used, and not before their issue.", |funnel| {
        funnel.timed.into()
    }),
    Column::new("time_to_use_median", Whole, "The seconds that half of these did not exceed.", |funnel| {
        funnel.median.into()
    }),
    Column::new("time_to_use_p90", Whole, "The seconds that 90 percent of these did not exceed.", |funnel| {
        funnel.p90.into()
    }),
    Column::new("time_to_use_p99", Whole, "The seconds that 99 percent of these did not exceed.", |funnel| {
        funnel.p99.into()
    }),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let filter = request.tokens()?;
        let funnel = request.session.token_funnel(&filter).await?;
        request.answer(written(request.format, &COLUMNS, [funnel]), filter.range).await
    })
}
