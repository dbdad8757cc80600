//! The reports' routes: what each takes, which columns it has, and its rows.

use serde_json::{Value, json};

use crate::{
    access::Scope,
    graphql::Named as _,
    http::rest::{
        parameters::{
            BASIS, COHORTS, FORMAT, GAPS, JOINED, LIST, Parameter, RANGE, SEGMENTS, SERIES, USERS, VISITS, WEEKDAYS,
            ZONE,
        },
        table::{
            Column, FORMATS, Format,
            Holds::{Date, Flag, Instant, Number, Text, Whole},
            Writer, column,
        },
    },
    reports::{ActiveUsers, Cohort, Heatmap, MemberSegment, SeriesRow, TokenFunnel, model::UserVisits},
};

/// A report's route.
#[derive(Debug)]
pub(in crate::http) struct Report {
    pub(in crate::http) path: &'static str,
    /// The name of files that are saved.
    pub(in crate::http) name: &'static str,
    /// What it answers, in a sentence.
    pub(in crate::http) about: &'static str,
    pub(in crate::http) parameters: &'static [&'static [Parameter]],
    pub(in crate::http) columns: &'static [Column],
    /// Whether its JSON is the legacy service's map, instead of rows.
    pub(in crate::http) is_legacy: bool,
    /// What every request for it needs.
    pub(in crate::http) scope: Scope,
    /// Whether it tells of single members.
    pub(in crate::http) is_personal: bool,
}

impl Report {
    /// What the list of reports says of it.
    pub(in crate::http) fn listed(&self) -> Value {
        let parameters = self.parameters.iter().copied().flatten().map(|parameter| parameter.name);
        json!({
            "path": self.path,
            "name": self.name,
            "about": self.about,
            "parameters": parameters.collect::<Vec<_>>(),
            "columns": self.columns.iter().map(|column| column.name).collect::<Vec<_>>(),
            "formats": FORMATS,
        })
    }
}

/// All of them.
pub(in crate::http) const REPORTS: [&Report; 8] =
    [&DAILY_USAGE, &USER_VISITS, &USAGE, &HEATMAP, &RETENTION, &MEMBERS, &ACTIVE_USERS, &TOKEN_FUNNEL];

pub(in crate::http) static DAILY_USAGE: Report = Report {
    path: "/api/reports/daily_usage",
    name: "daily_usage",
    about: "Visits and tokens per local calendar day. As JSON a map from dates to visits, without the days that have \
            none.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS, &GAPS],
    columns: &[
        column("date", Date),
        column("starts_at", Instant),
        column("visits", Whole),
        column("tokens_issued", Whole),
        column("tokens_unused", Whole),
        column("conversion_rate", Number),
        column("unique_visitors", Whole),
        column("is_partial", Flag),
    ],
    is_legacy: true,
    scope: Scope::Reports,
    is_personal: false,
};
pub(in crate::http) static USER_VISITS: Report = Report {
    path: "/api/reports/user_visits",
    name: "user_visits",
    about: "Members with their visits. As JSON a map from ids to the day on which members joined and to their tokens, \
            used or not, which it calls visits. Lists of any length are sent while they are read.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &BASIS, &VISITS, &LIST],
    columns: &[
        column("user_id", Whole),
        column("first_name", Text),
        column("last_name", Text),
        column("visits", Whole),
        column("tokens_issued", Whole),
        column("tokens_unused", Whole),
        column("first_visit_at", Instant),
        column("last_visit_at", Instant),
        column("joined_at", Instant),
        column("is_active", Flag),
    ],
    is_legacy: true,
    scope: Scope::Reports,
    is_personal: true,
};
pub(in crate::http) static USAGE: Report = Report {
    path: "/api/reports/usage",
    name: "usage",
    about: "Visits and tokens by hour, day, week, month, quarter or year of the local calendar.",
    parameters: &[&FORMAT, &SERIES, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS, &GAPS],
    columns: &[
        column("start", Instant),
        column("end", Instant),
        column("label", Text),
        column("visits", Whole),
        column("tokens_issued", Whole),
        column("tokens_unused", Whole),
        column("conversion_rate", Number),
        column("unique_visitors", Whole),
        column("is_partial", Flag),
    ],
    is_legacy: false,
    scope: Scope::Reports,
    is_personal: false,
};
pub(in crate::http) static HEATMAP: Report = Report {
    path: "/api/reports/heatmap",
    name: "heatmap",
    about: "Visits by day of the week and hour of the local day: share of all visits, and average on such a day.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS],
    columns: &[
        column("weekday", Text),
        column("hour", Whole),
        column("visits", Whole),
        column("share", Number),
        column("occurrences", Whole),
        column("average", Number),
    ],
    is_legacy: false,
    scope: Scope::Reports,
    is_personal: false,
};
pub(in crate::http) static RETENTION: Report = Report {
    path: "/api/reports/retention",
    name: "retention",
    about: "Members by the period in which they joined or first came, and how many of them came in each period after.",
    parameters: &[&FORMAT, &COHORTS, &RANGE, &USERS, &BASIS],
    columns: &[
        column("cohort_start", Date),
        column("cohort_label", Text),
        column("members", Whole),
        column("period", Whole),
        column("period_start", Date),
        column("active", Whole),
        column("rate", Number),
        column("is_partial", Flag),
    ],
    is_legacy: false,
    scope: Scope::Reports,
    is_personal: false,
};

pub(in crate::http) static MEMBERS: Report = Report {
    path: "/api/reports/members",
    name: "members",
    about: "Members by how long ago they last came: new, active, lapsing, lapsed, or never came. Visits are of all time. \
            Lists of any length are sent while they are read.",
    parameters: &[&FORMAT, &SEGMENTS, &ZONE, &USERS, &JOINED, &LIST],
    columns: &[
        column("user_id", Whole),
        column("first_name", Text),
        column("last_name", Text),
        column("segment", Text),
        column("days_since_last_visit", Whole),
        column("visits", Whole),
        column("tokens_issued", Whole),
        column("first_visit_at", Instant),
        column("last_visit_at", Instant),
        column("joined_at", Instant),
        column("is_active", Flag),
    ],
    is_legacy: false,
    scope: Scope::Members,
    is_personal: true,
};
pub(in crate::http) static ACTIVE_USERS: Report = Report {
    path: "/api/reports/active_users",
    name: "active_users",
    about: "How many different members came on each local day, in the 7 and in the 30 days that end with it. At most \
            1,100 days.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS],
    columns: &[
        column("date", Date),
        column("starts_at", Instant),
        column("daily", Whole),
        column("weekly", Whole),
        column("monthly", Whole),
        column("stickiness", Number),
        column("is_partial", Flag),
    ],
    is_legacy: false,
    scope: Scope::Reports,
    is_personal: false,
};
pub(in crate::http) static TOKEN_FUNNEL: Report = Report {
    path: "/api/reports/token_funnel",
    name: "token_funnel",
    about: "What became of the tokens that were issued in a range, in one row: how many were used, and within how many \
            seconds.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS],
    columns: &[
        column("issued", Whole),
        column("used", Whole),
        column("unused", Whole),
        column("conversion_rate", Number),
        column("used_before_issued", Whole),
        column("time_to_use_count", Whole),
        column("time_to_use_median", Whole),
        column("time_to_use_p90", Whole),
        column("time_to_use_p99", Whole),
    ],
    is_legacy: false,
    scope: Scope::Reports,
    is_personal: false,
};

pub(in crate::http) fn daily_usage(format: Format, rows: &[SeriesRow]) -> String {
    let mut writer = Writer::new(format, DAILY_USAGE.columns);
    for row in rows {
        let figures = &row.figures;
        writer.row([
            row.date().into(),
            row.start().into(),
            figures.visits.into(),
            figures.tokens_issued.into(),
            figures.tokens_unused.into(),
            figures.conversion_rate().into(),
            figures.unique_visitors.into(),
            row.is_partial.into(),
        ]);
    }
    writer.finish()
}

pub(in crate::http) fn user_visits(writer: &mut Writer, row: UserVisits) {
    let (first_name, last_name) = row.name.unzip();
    writer.row([
        row.user_id.into(),
        first_name.into(),
        last_name.into(),
        row.visits.into(),
        row.tokens_issued.into(),
        row.tokens_unused.into(),
        row.first_visit_at.into(),
        row.last_visit_at.into(),
        row.joined_at.into(),
        row.is_active.into(),
    ]);
}

pub(in crate::http) fn usage(format: Format, rows: &[SeriesRow]) -> String {
    let mut writer = Writer::new(format, USAGE.columns);
    for row in rows {
        let figures = &row.figures;
        writer.row([
            row.start().into(),
            row.end().into(),
            row.label().into(),
            figures.visits.into(),
            figures.tokens_issued.into(),
            figures.tokens_unused.into(),
            figures.conversion_rate().into(),
            figures.unique_visitors.into(),
            row.is_partial.into(),
        ]);
    }
    writer.finish()
}

pub(in crate::http) fn heatmap(format: Format, heatmap: &Heatmap) -> String {
    let mut writer = Writer::new(format, HEATMAP.columns);
    for cell in &heatmap.cells {
        writer.row([
            cell.weekday.name().into(),
            cell.hour.into(),
            cell.visits.into(),
            heatmap.share(cell).into(),
            cell.occurrences.into(),
            cell.average().into(),
        ]);
    }
    writer.finish()
}

pub(in crate::http) fn retention(format: Format, cohorts: &[Cohort]) -> String {
    let mut writer = Writer::new(format, RETENTION.columns);
    for cohort in cohorts {
        for (index, period) in (0_i32..).zip(&cohort.periods) {
            writer.row([
                cohort.start.into(),
                cohort.label.as_str().into(),
                cohort.members.into(),
                index.into(),
                period.start.into(),
                period.active.into(),
                period.rate(cohort.members).into(),
                period.is_partial.into(),
            ]);
        }
    }
    writer.finish()
}

pub(in crate::http) fn member(
    writer: &mut Writer,
    row: UserVisits,
    segment: MemberSegment,
    days_since_last_visit: Option<i64>,
) {
    let (first_name, last_name) = row.name.unzip();
    writer.row([
        row.user_id.into(),
        first_name.into(),
        last_name.into(),
        segment.name().into(),
        days_since_last_visit.into(),
        row.visits.into(),
        row.tokens_issued.into(),
        row.first_visit_at.into(),
        row.last_visit_at.into(),
        row.joined_at.into(),
        row.is_active.into(),
    ]);
}

pub(in crate::http) fn active_users(format: Format, days: &[ActiveUsers]) -> String {
    let mut writer = Writer::new(format, ACTIVE_USERS.columns);
    for day in days {
        writer.row([
            day.date.into(),
            day.starts_at().into(),
            day.daily.into(),
            day.weekly.into(),
            day.monthly.into(),
            day.stickiness().into(),
            day.is_partial.into(),
        ]);
    }
    writer.finish()
}

pub(in crate::http) fn token_funnel(format: Format, funnel: &TokenFunnel) -> String {
    let mut writer = Writer::new(format, TOKEN_FUNNEL.columns);
    writer.row([
        funnel.issued.into(),
        funnel.used.into(),
        (funnel.issued - funnel.used).into(),
        funnel.conversion_rate().into(),
        funnel.used_before_issued.into(),
        funnel.timed.into(),
        funnel.median.into(),
        funnel.p90.into(),
        funnel.p99.into(),
    ]);
    writer.finish()
}
