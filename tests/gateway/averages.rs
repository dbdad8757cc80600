//! Averages, and unknown values: days that are not over, days before the first door code, and numbers that exceed the
//! usual range.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::support::{Backend, TestGateway, on_both_databases};

on_both_databases!(
    heatmaps_average_over_recorded_hours_that_are_over,
    averages_are_of_whole_buckets_that_have_begun,
    nobody_is_kept_before_anything_was_recorded,
    hours_are_in_order_where_clocks_go_back_across_midnight,
    a_visit_in_the_future_is_one_of_today,
    seconds_may_be_many,
    open_ranges_say_where_they_begin_and_end,
);

/// A space with one member who joined long ago, and with the given number of door codes at each instant, used when they
/// were issued.
async fn space(backend: Backend, codes: &[(&str, usize)]) -> TestGateway {
    let gateway = TestGateway::empty(backend).await;
    let mut rows = Vec::new();
    for (at, count) in codes {
        rows.extend((0..*count).map(|_| format!("(1, '------', '{at}', '{at}')")));
    }
    let rows = rows.join(", ");
    gateway
        .database
        .execute(&format!(
            "INSERT INTO users (id, first_name, last_name, joined_at) VALUES (1, 'First', 'Last', '2019-11-05 00:00:00'); \
             INSERT INTO tokens (user_id, token, created_at, used_at) VALUES {rows}"
        ))
        .await;
    gateway
}

fn at(gateway: &TestGateway, now: &str) {
    *gateway.now.lock().unwrap() = now.parse().unwrap();
}

async fn heatmaps_average_over_recorded_hours_that_are_over(backend: Backend) {
    // Ten visits each Monday at nine, for twelve weeks.
    let mondays: Vec<String> = "2026-09-07"
        .parse::<NaiveDate>()
        .unwrap()
        .iter_weeks()
        .take_while(|day| *day < "2026-11-30".parse().unwrap())
        .map(|day| format!("{day} 09:10:00"))
        .collect();
    let codes: Vec<_> = mondays.iter().map(|at| (at.as_str(), 10)).collect();
    let gateway = space(backend, &codes).await;
    let nine = async |filter: &str| {
        let question = format!(
            "{{ heatmap(filter: {{ {filter} }}) {{ recordedFrom cells {{ weekday hour visits occurrences average share }} }} }}"
        );
        let heatmap = gateway.query(&question).await["heatmap"].clone();
        assert_eq!(heatmap["recordedFrom"], "2026-09-07");
        (heatmap["cells"][9].clone(), heatmap["cells"][24 + 9].clone())
    };
    let cell = |visits: i64, occurrences: i64, average: Value| json!({ "weekday": "MONDAY", "hour": 9, "visits": visits, "occurrences": occurrences, "average": average, "share": 1.0 });
    // November has five Mondays; four of them have come.
    at(&gateway, "2026-11-24T12:00:00Z");
    for filter in ["from: \"2026-11-01\", to: \"2026-11-30\"", "range: THIS_MONTH"] {
        assert_eq!(nine(filter).await.0, cell(40, 4, json!(10.0)), "{filter}");
    }
    assert_eq!(nine("from: \"2026-01-01\", to: \"2026-12-31\"").await.0, cell(120, 12, json!(10.0)));
    // In the middle of the hour on the fourth Monday, and after it.
    at(&gateway, "2026-11-23T09:59:59Z");
    assert_eq!(nine("from: \"2026-11-01\", to: \"2026-11-30\"").await.0, cell(40, 3, json!(10.0)));
    at(&gateway, "2026-11-23T10:00:00Z");
    let (monday, tuesday) = nine("from: \"2026-11-23\", to: \"2026-11-23\"").await;
    assert_eq!(monday, cell(10, 1, json!(10.0)));
    let never =
        json!({ "weekday": "TUESDAY", "hour": 9, "visits": 0, "occurrences": 0, "average": null, "share": null });
    assert_eq!(tuesday, never, "no Tuesday is in the range");
}

async fn averages_are_of_whole_buckets_that_have_begun(backend: Backend) {
    let codes = [
        ("2026-08-20 10:00:00", 7),
        ("2026-09-20 10:00:00", 60),
        ("2026-10-05 10:00:00", 25),
        ("2026-10-25 10:00:00", 48),
    ];
    let gateway = space(backend, &codes).await;
    at(&gateway, "2026-11-24T12:00:00Z");
    let averages = async |question: &str| -> Vec<Value> {
        let usage = gateway.query(question).await;
        usage["usage"]["buckets"].as_array().unwrap().iter().map(|bucket| bucket["rollingAverage"].clone()).collect()
    };
    let months = "{ usage(granularity: MONTH, filter: { from: \"2026-09-01\", to: \"2026-10-10\" }, gaps: ZERO) {
                    buckets { rollingAverage(buckets: 2) } } }";
    assert_eq!(averages(months).await, [json!(33.5), json!(66.5)], "whole months, though October is cut");
    let days = "{ usage(filter: { from: \"2026-11-23\", to: \"2026-11-26\" }, gaps: ZERO) {
                  buckets { rollingAverage(buckets: 30) } } }";
    assert_eq!(averages(days).await, [json!(1.6), json!(0.0), Value::Null, Value::Null], "days to come");
}

async fn nobody_is_kept_before_anything_was_recorded(backend: Backend) {
    let gateway = space(backend, &[("2020-02-10 10:00:00", 1)]).await;
    at(&gateway, "2020-03-15T12:00:00Z");
    let answer = gateway.query("{ retention(periods: 5) { label members periods { active rate } } }").await;
    let cohort = &answer["retention"][0];
    assert_eq!(cohort["label"], "2019-11");
    let unknown = json!({ "active": null, "rate": null });
    let expected = [
        &unknown,
        &unknown,
        &unknown,
        &json!({ "active": 1, "rate": 1.0 }),
        &json!({ "active": 0, "rate": 0.0 }),
        &unknown,
    ];
    assert_eq!(cohort["periods"].as_array().unwrap().iter().collect::<Vec<_>>(), expected);
}

async fn hours_are_in_order_where_clocks_go_back_across_midnight(backend: Backend) {
    // The first two minutes of the 7th, the repeated last hour of the 6th, and the repeated first hour of the 7th.
    let codes = [
        ("2010-11-07 02:30:30", 1),
        ("2010-11-07 03:00:30", 2),
        ("2010-11-07 03:30:00", 4),
        ("2010-11-07 04:30:00", 8),
    ];
    let gateway = space(backend, &codes).await;
    for gaps in ["OMIT", "ZERO"] {
        let question = format!(
            "{{ usage(granularity: HOUR, timeZone: \"America/St_Johns\", filter: {{ from: \"2010-11-06\", to: \"2010-11-07\" }}, gaps: {gaps}) {{
                 buckets {{ start label visits cumulative rollingAverage(buckets: 1) }} }} }}"
        );
        let answer = gateway.query(&question).await;
        let buckets = answer["usage"]["buckets"].as_array().unwrap();
        let starts: Vec<_> = buckets.iter().map(|bucket| bucket["start"].as_str().unwrap()).collect();
        assert!(starts.is_sorted(), "{starts:?}");
        let with_visits: Vec<_> = buckets.iter().filter(|bucket| bucket["visits"] != 0).collect();
        let row = |label: &str, start: &str, visits: i64, cumulative: i64| json!({ "start": start, "label": label, "visits": visits, "cumulative": cumulative, "rollingAverage": f64::from(i32::try_from(visits).unwrap()) });
        assert_eq!(
            with_visits,
            [
                &row("2010-11-07 00:00 -02:30", "2010-11-07T02:30:00Z", 1, 1),
                &row("2010-11-06 23:00 -03:30", "2010-11-07T02:31:00Z", 2, 3),
                &row("2010-11-07 00:00 -03:30", "2010-11-07T03:30:00Z", 4, 7),
                &row("2010-11-07 01:00 -03:30", "2010-11-07T04:30:00Z", 8, 15),
            ],
            "{gaps}"
        );
    }
}

async fn a_visit_in_the_future_is_one_of_today(backend: Backend) {
    let gateway = space(backend, &[("2024-04-20 10:00:00", 1)]).await;
    at(&gateway, "2024-04-14T12:00:00Z");
    let answer = gateway.query("{ members { nodes { segment daysSinceLastVisit } } }").await;
    assert_eq!(answer["members"]["nodes"], json!([{ "segment": "ACTIVE", "daysSinceLastVisit": 0 }]));
}

/// More than 68 years are more seconds than an `Int` can hold.
async fn seconds_may_be_many(backend: Backend) {
    let gateway = space(backend, &[("2026-01-01 00:00:00", 1)]).await;
    gateway.database.execute("UPDATE tokens SET created_at = '1900-01-01 00:00:00'").await;
    let answer = gateway
        .query(
            "{ tokenFunnel { timeToUse { count p99 } } __type(name: \"TimeToUse\") { fields { name type { name } } } }",
        )
        .await;
    assert_eq!(answer["tokenFunnel"]["timeToUse"], json!({ "count": 1, "p99": 3_976_214_400_i64 }));
    let fields = answer["__type"]["fields"].as_array().unwrap();
    for field in fields.iter().filter(|field| field["name"] != "count") {
        assert_eq!(field["type"]["name"], "Seconds", "{field}");
    }
}

async fn open_ranges_say_where_they_begin_and_end(backend: Backend) {
    let gateway = space(backend, &[("2024-02-03 23:30:00", 1), ("2024-03-01 10:00:00", 1)]).await;
    at(&gateway, "2024-04-14T22:30:00Z");
    for (arguments, from, to) in [
        ("", json!("2024-02-03"), "2024-04-14"),
        ("timeZone: \"Europe/Berlin\"", json!("2024-02-04"), "2024-04-15"),
        ("filter: { to: \"2024-02-29\" }", json!("2024-02-03"), "2024-02-29"),
        ("filter: { from: \"2024-02-20\" }", json!("2024-02-20"), "2024-04-14"),
        ("filter: { userIds: [2] }", Value::Null, "2024-04-14"),
    ] {
        let arguments = if arguments.is_empty() { String::new() } else { format!("({arguments})") };
        let answer = gateway.query(&format!("{{ usage{arguments} {{ from to }} }}")).await;
        assert_eq!(answer["usage"], json!({ "from": from, "to": to }), "{arguments}");
    }
}
