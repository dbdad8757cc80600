//! `/api/reports/active_users`: members who came on a day, in the week and in the month that end with it.

use crate::{
    access::Scope,
    http::rest::{
        parameters::{BASIS, FORMAT, JOINED, RANGE, USERS, WEEKDAYS},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Date, Flag, Instant, Number, Whole},
            headings, written,
        },
    },
    reports::ActiveUsers,
};

pub(in crate::http) static REPORT: Report = Report {
    name: "active_users",
    about: "The number of different members who came, for each local day: on the day, in the 7 and in the 30 days that \
            end with it. At most 1,100 days.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

static COLUMNS: [Column<ActiveUsers>; 7] = [
    Column::new("date", Date, "The local date.", |day| day.date.into()),
    Column::new("starts_at", Instant, "The instant, in UTC, at which the day starts.", |day| day.starts_at().into()),
    Column::new("daily", Whole, "Members who came on the day.", |day| day.daily.into()),
    Column::new("weekly", Whole, "Members who came in the 7 days that end with it.", |day| day.weekly.into()),
    Column::new("monthly", Whole, "Members who came in the 30 days that end with it.", |day| day.monthly.into()),
    Column::new("stickiness", Number, "daily divided by monthly; null where nobody came.", |day| {
        day.stickiness().into()
    }),
    Column::new("is_partial", Flag, "Whether the day is not over.", |day| day.is_partial.into()),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let filter = request.tokens()?;
        let days = request.session.active_users(&filter).await?;
        request.answer(written(request.format, &COLUMNS, days), filter.range).await
    })
}
