//! The reports' routes: what each takes, which columns it has, and its rows.

use super::{
    parameters::{BASIS, COHORTS, FORMAT, GAPS, JOINED, LIST, MEMBERS, Parameter, RANGE, SERIES, WEEKDAYS},
    table::{
        Column, Format,
        Holds::{Date, Flag, Instant, Number, Text, Whole},
        Writer, column,
    },
};
use crate::{
    graphql::Named as _,
    reports::{Cohort, Heatmap, SeriesRow, model::UserVisits},
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
    /// Whether it tells of single members.
    pub(in crate::http) is_personal: bool,
}

/// All of them.
pub(in crate::http) const REPORTS: [&Report; 5] = [&DAILY_USAGE, &USER_VISITS, &USAGE, &HEATMAP, &RETENTION];

pub(super) static DAILY_USAGE: Report = Report {
    path: "/api/reports/daily_usage",
    name: "daily_usage",
    about: "Visits and tokens per local calendar day. As JSON a map from dates to visits, without the days that have \
            none.",
    parameters: &[&FORMAT, &RANGE, &MEMBERS, &JOINED, &WEEKDAYS, &BASIS, &GAPS],
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
    is_personal: false,
};
pub(super) static USER_VISITS: Report = Report {
    path: "/api/reports/user_visits",
    name: "user_visits",
    about: "Members with their visits. As JSON a map from ids to the day on which members joined and to their tokens, \
            used or not, which it calls visits. Lists of any length are sent while they are read.",
    parameters: &[&FORMAT, &RANGE, &MEMBERS, &JOINED, &BASIS, &LIST],
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
    is_personal: true,
};
pub(super) static USAGE: Report = Report {
    path: "/api/reports/usage",
    name: "usage",
    about: "Visits and tokens by hour, day, week, month, quarter or year of the local calendar.",
    parameters: &[&FORMAT, &SERIES, &RANGE, &MEMBERS, &JOINED, &WEEKDAYS, &BASIS, &GAPS],
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
    is_personal: false,
};
pub(super) static HEATMAP: Report = Report {
    path: "/api/reports/heatmap",
    name: "heatmap",
    about: "Visits by day of the week and hour of the local day: share of all visits, and average on such a day.",
    parameters: &[&FORMAT, &RANGE, &MEMBERS, &JOINED, &WEEKDAYS, &BASIS],
    columns: &[
        column("weekday", Text),
        column("hour", Whole),
        column("visits", Whole),
        column("share", Number),
        column("occurrences", Whole),
        column("average", Number),
    ],
    is_legacy: false,
    is_personal: false,
};
pub(super) static RETENTION: Report = Report {
    path: "/api/reports/retention",
    name: "retention",
    about: "Members by the period in which they joined or first came, and how many of them came in each period after.",
    parameters: &[&FORMAT, &COHORTS, &RANGE, &MEMBERS, &BASIS],
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
    is_personal: false,
};

pub(super) fn daily_usage(format: Format, rows: &[SeriesRow]) -> String {
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

pub(super) fn user_visits(writer: &mut Writer, row: UserVisits) {
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

pub(super) fn usage(format: Format, rows: &[SeriesRow]) -> String {
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

pub(super) fn heatmap(format: Format, heatmap: &Heatmap) -> String {
    let mut writer = Writer::new(format, HEATMAP.columns);
    let weekdays = chrono::Weekday::names();
    for cell in &heatmap.cells {
        writer.row([
            weekdays[cell.weekday.num_days_from_monday() as usize].into(),
            cell.hour.into(),
            cell.visits.into(),
            heatmap.share(cell).into(),
            cell.occurrences.into(),
            cell.average().into(),
        ]);
    }
    writer.finish()
}

pub(super) fn retention(format: Format, cohorts: &[Cohort]) -> String {
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
