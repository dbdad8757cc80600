//! `/api/reports/usage`: visits and door codes by hour, day, week, month, quarter or year.

use crate::{
    access::Scope,
    graphql::Named as _,
    http::rest::{
        parameters::{BASIS, FORMAT, GAPS, JOINED, Kind, Parameter, RANGE, USERS, WEEK_START, WEEKDAYS, parameter},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Flag, Instant, Number, Text, Whole},
            headings, written,
        },
    },
    reports::{Granularity, Measures, SeriesRow, UsageQuestion},
};

pub(in crate::http) static REPORT: Report = Report {
    name: "usage",
    about: "Visits and door codes by hour, day, week, month, quarter or year of the local calendar.",
    parameters: &[&FORMAT, &GRANULARITY, &WEEK_START, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS, &GAPS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

const GRANULARITY: [Parameter; 1] =
    [parameter("granularity", Kind::Name(Granularity::names), "The length of a bucket: DAY when it is left out.")];

static COLUMNS: [Column<SeriesRow>; 12] = [
    Column::new("start", Instant, "The instant, in UTC, at which the bucket starts.", |row| row.start().into()),
    Column::new("end", Instant, "The instant, in UTC, at which the bucket ends.", |row| row.end().into()),
    Column::new("label", Text, "The name of the bucket in local time.", |row| row.label().into()),
    Column::new("visits", Whole, "Visits: door codes that were used.", |row| row.figures.visits.into()),
    Column::new("tokens_issued", Whole, "Door codes issued.", |row| row.figures.tokens_issued.into()),
    Column::new("tokens_unused", Whole, "Door codes issued and not used so far.", |row| {
        row.figures.tokens_unused.into()
    }),
    Column::new("conversion_rate", Number, "visits divided by tokens_issued; null without door codes.", |row| {
        row.figures.conversion_rate().into()
    }),
    Column::new("unique_visitors", Whole, "The number of different members among the visits.", |row| {
        row.figures.unique_visitors.into()
    }),
    Column::new(
        "is_partial",
        Flag,
        "Whether the bucket is not over, or only some of its days are in the range.",
        |row| row.is_partial.into(),
    ),
    Column::new(
        "new_visitors",
        Whole,
        "The members among unique_visitors whose first visit ever is in the bucket.",
        |row| row.figures.new_visitors.into(),
    ),
    Column::new("returning_visitors", Whole, "The members among unique_visitors who had come before.", |row| {
        row.figures.returning_visitors().into()
    }),
    Column::new("visits_per_visitor", Number, "visits divided by unique_visitors; null when nobody came.", |row| {
        row.figures.visits_per_visitor().into()
    }),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let granularity = request.one("granularity")?.unwrap_or_default();
        let gaps = request.one("gaps")?.unwrap_or_default();
        let (week_start, relative) = (request.week_start()?, request.relative()?);
        let question = UsageQuestion::new(request.tokens()?, granularity, week_start, relative, gaps)?;
        let series = request.session.usage(&question, Measures::ALL, None).await?;
        request.answer(written(request.format, &COLUMNS, series.rows), question.filter.range).await
    })
}
