//! `/api/reports/forecast`: the visits to expect.

use crate::{
    access::Scope,
    http::rest::{
        parameters::{BASIS, FORMAT, JOINED, Kind, Parameter, RANGE, USERS, WEEKDAYS, parameter},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Date, Instant, Number},
            headings, written,
        },
    },
    reports::ForecastDay,
};

pub(in crate::http) static REPORT: Report = Report {
    name: "forecast",
    about: "The visits to expect on the days to come, by day of the week and trend.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS, &DAYS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

const DAYS: [Parameter; 1] = [parameter(
    "days",
    Kind::Whole(1, 92),
    "The number of days from today on, or from the day after the range if that is earlier: 14 when it is left out.",
)];

static COLUMNS: [Column<ForecastDay>; 5] = [
    Column::new("date", Date, "The local date.", |day| day.date.into()),
    Column::new("starts_at", Instant, "The instant, in UTC, at which the day starts.", |day| day.starts_at().into()),
    Column::new("expected", Number, "The visits to expect on the whole day.", |day| day.expected.into()),
    Column::new(
        "lower",
        Number,
        "The lower end of the interval of four of five days; null without a backtest.",
        |day| day.interval.unzip().0.into(),
    ),
    Column::new("upper", Number, "The upper end of that interval; null without a backtest.", |day| {
        day.interval.unzip().1.into()
    }),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let filter = request.tokens()?;
        let days = request.whole("days")?.unwrap_or(14);
        let forecast = request.session.forecast(&filter, days).await?;
        request.answer(written(request.format, &COLUMNS, forecast.days), filter.range).await
    })
}
