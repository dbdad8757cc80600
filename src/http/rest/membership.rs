//! `/api/reports/membership`: how many members joined, came for the first time, came again, and stopped coming.

use crate::{
    access::Scope,
    graphql::Named as _,
    http::rest::{
        parameters::{BASIS, FORMAT, JOINED, Kind, Parameter, RANGE, USERS, WEEK_START, WEEKDAYS, parameter},
        report::Report,
        request::{Answering, Request},
        table::{
            Column,
            Holds::{Flag, Instant, Text, Whole},
            headings, written,
        },
    },
    reports::{Granularity, Membership, MembershipQuestion},
};

pub(in crate::http) static REPORT: Report = Report {
    name: "membership",
    about: "Growth and churn: how many members joined, came for the first time, came again, and stopped coming, by day, \
            week, month, quarter or year of the local calendar.",
    parameters: &[&FORMAT, &RULES, &WEEK_START, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS],
    columns: || headings(&COLUMNS),
    legacy: None,
    scope: Scope::Reports,
    is_list: false,
};

const RULES: [Parameter; 2] = [
    parameter(
        "granularity",
        Kind::Name(Granularity::names),
        "The length of a bucket, a day or longer: MONTH when it is left out.",
    ),
    parameter(
        "stopped_after_days",
        Kind::Whole(1, 3_650),
        "The local days without a visit after which a member has stopped: 90 when it is left out.",
    ),
];

static COLUMNS: [Column<Membership>; 9] = [
    Column::new("start", Instant, "The instant, in UTC, at which the bucket starts.", |row| row.place.start().into()),
    Column::new("end", Instant, "The instant, in UTC, at which the bucket ends.", |row| row.place.end().into()),
    Column::new("label", Text, "The name of the bucket in local time.", |row| row.place.label().into()),
    Column::new("joined", Whole, "Members who joined.", |row| row.joined.into()),
    Column::new("active", Whole, "Members who came.", |row| row.active.into()),
    Column::new("first_visits", Whole, "Members who came for the first time ever.", |row| row.first_visits.into()),
    Column::new("returning", Whole, "Members who came, and had come before.", |row| row.returning().into()),
    Column::new("stopped", Whole, "Members whose last visit became too long ago.", |row| row.stopped.into()),
    Column::new(
        "is_partial",
        Flag,
        "Whether the bucket is not over, or only some of its days are in the range.",
        |row| row.place.is_partial.into(),
    ),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        let granularity = request.one("granularity")?.unwrap_or(Granularity::Month);
        let away = request.whole("stopped_after_days")?.unwrap_or(90);
        let (week_start, relative) = (request.week_start()?, request.relative()?);
        let question = MembershipQuestion::new(request.tokens()?, granularity, week_start, relative, away)?;
        let rows = request.session.membership(&question).await?;
        request.answer(written(request.format, &COLUMNS, rows), question.filter().range).await
    })
}
