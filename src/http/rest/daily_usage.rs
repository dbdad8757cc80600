//! `/api/reports/daily_usage`: visits and door codes per local calendar day.

use serde_json::json;

use crate::{
    access::Scope,
    http::{
        error::Failure,
        rest::legacy,
        rest::{
            parameters::{BASIS, FORMAT, GAPS, JOINED, RANGE, USERS, WEEKDAYS},
            report::Report,
            request::{Answering, Request},
            table::{
                Column, Format,
                Holds::{Date, Flag, Instant, Number, Whole},
                headings, written,
            },
        },
    },
    reports::{Granularity, LegacyDailyUsage, Measures, SeriesRow, UsageQuestion},
};

pub(in crate::http) static REPORT: Report = Report {
    name: "daily_usage",
    about: "Visits and door codes per local calendar day. As JSON, a map from dates to visits, without the days that \
            have no visits.",
    parameters: &[&FORMAT, &RANGE, &USERS, &JOINED, &WEEKDAYS, &BASIS, &GAPS],
    columns: || headings(&COLUMNS),
    legacy: Some(|| json!({ "type": "object", "additionalProperties": { "type": "integer" } })),
    scope: Scope::Reports,
    is_list: false,
};

static COLUMNS: [Column<SeriesRow>; 8] = [
    Column::new("date", Date, "The local date.", |day| day.date().into()),
    Column::new("starts_at", Instant, "The instant, in UTC, at which the day starts.", |day| day.start().into()),
    Column::new("visits", Whole, "Visits: door codes that were used.", |day| day.figures.visits.into()),
    Column::new("tokens_issued", Whole, "Door codes issued.", |day| day.figures.tokens_issued.into()),
    Column::new("tokens_unused", Whole, "Door codes issued and not used so far.", |day| {
        day.figures.tokens_unused.into()
    }),
    Column::new("conversion_rate", Number, "visits divided by tokens_issued; null without door codes.", |day| {
        day.figures.conversion_rate().into()
    }),
    Column::new("unique_visitors", Whole, "The number of different members among the visits.", |day| {
        day.figures.unique_visitors.into()
    }),
    Column::new("is_partial", Flag, "Whether the day is not over.", |day| day.is_partial.into()),
];

pub(in crate::http) fn answer(request: Request) -> Answering {
    Box::pin(async move {
        if request.is_legacy {
            return legacy::daily_usage(&request.gateway, &request.client, &request.headers).await;
        }
        let filter = request.tokens()?;
        let range = filter.range;
        let gaps = request.one("gaps")?.unwrap_or_default();
        let question = UsageQuestion::new(filter, Granularity::Day, None, None, gaps)?;
        if request.format == Format::Json {
            let measures = Measures { visits: true, ..Measures::default() };
            let days = request.session.daily_usage(&question, measures, None).await?;
            let mut json = serde_json::to_string(&LegacyDailyUsage(&days.rows)).map_err(|_| Failure::Internal)?;
            json.push('\n');
            return request.answer(json, range).await;
        }
        let days = request.session.daily_usage(&question, Measures::ALL, None).await?;
        request.answer(written(request.format, &COLUMNS, days.rows), range).await
    })
}
