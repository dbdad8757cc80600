//! `/api/reports/retention`: the number of members of a cohort who came in each later period.

use chrono::NaiveDate;

use crate::{
    access::Scope,
    graphql::Named as _,
    http::rest::{
        parameters::{BASIS, FORMAT, Kind, Parameter, RANGE, USERS, WEEK_START, parameter},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Date, Flag, Number, Text, Whole},
            headings, written,
        },
    },
    reports::{Cohort, CohortAnchor, CohortPeriod, CohortUnit, RetentionQuestion, range::DateRange},
};

pub(in crate::http) static REPORT: Report = Report {
    name: "retention",
    about: "Members by the period in which they joined or first came, and how many of them came in each period after.",
    parameters: &[&FORMAT, &COHORTS, &WEEK_START, &RANGE, &USERS, &BASIS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

const COHORTS: [Parameter; 3] = [
    parameter("cohort", Kind::Name(CohortUnit::names), "The length of a period: MONTH when it is left out."),
    parameter(
        "anchor",
        Kind::Name(CohortAnchor::names),
        "The event that assigns a member to a cohort: JOINED_AT when it is left out.",
    ),
    parameter(
        "periods",
        Kind::Whole(1, 104),
        "The periods to follow each cohort after its own: 12 when it is left out.",
    ),
];

/// A cohort in one of its periods; one row of the table.
struct Row {
    cohort_start: NaiveDate,
    cohort_label: String,
    members: i64,
    index: i32,
    period: CohortPeriod,
}

static COLUMNS: [Column<Row>; 8] = [
    Column::new("cohort_start", Date, "The first local date of the cohort.", |row| row.cohort_start.into()),
    Column::new("cohort_label", Text, "The name of the cohort.", |row| (&row.cohort_label).into()),
    Column::new("members", Whole, "The number of members in the cohort.", |row| row.members.into()),
    Column::new("period", Whole, "The number of periods after the cohort's own.", |row| row.index.into()),
    Column::new("period_start", Date, "The first local date of the period.", |row| row.period.start.into()),
    Column::new("active", Whole, "The members of the cohort who came; null while the period has not begun.", |row| {
        row.period.active.into()
    }),
    Column::new("rate", Number, "active divided by members.", |row| row.period.rate(row.members).into()),
    Column::new("is_partial", Flag, "Whether the period is not over.", |row| row.period.is_partial.into()),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let unit = request.one("cohort")?.unwrap_or_default();
        let anchor = request.one("anchor")?.unwrap_or_default();
        let periods = request.whole("periods")?.unwrap_or(12);
        let (week_start, relative) = (request.week_start()?, request.relative()?);
        let question = RetentionQuestion::new(request.tokens()?, unit, week_start, relative, periods, anchor)?;
        let cohorts = request.session.retention(&question).await?;
        let rows = cohorts.into_iter().flat_map(rows);
        request.answer(written(request.format, &COLUMNS, rows), DateRange::default()).await
    })
}

fn rows(cohort: Cohort) -> impl Iterator<Item = Row> {
    let Cohort { start, label, members, periods } = cohort;
    let row = move |(index, period)| Row { cohort_start: start, cohort_label: label.clone(), members, index, period };
    (0..).zip(periods).map(row)
}
