//! Comparisons of a range with an earlier one, and of each bucket with its counterpart.

use chrono::{NaiveDate, TimeZone as _};
use serde_json::{Value, json};

use crate::support::{Backend, TestGateway, on_both_databases, rounds};

on_both_databases!(
    this_month_is_compared_up_to_the_same_day_on_its_last_day_too,
    a_leap_day_has_no_counterpart_and_moves_no_other,
    days_that_are_left_out_are_no_counterparts,
    what_has_elapsed_is_compared,
    days_that_are_alike_have_not_changed,
);

/// A space with the given number of visits on each day.
async fn space(backend: Backend, days: &[(&str, usize)]) -> TestGateway {
    let gateway = TestGateway::empty(backend).await;
    gateway.database.execute("INSERT INTO users (id, first_name, last_name, joined_at) VALUES (1, 'First', 'Last', '2020-01-01 00:00:00')").await;
    for (day, visits) in days {
        for _ in 0..*visits {
            gateway
                .database
                .execute(&format!("INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (1, '------', '{day} 09:00:00', '{day} 10:00:00')"))
                .await;
        }
    }
    gateway
}

async fn this_month_is_compared_up_to_the_same_day_on_its_last_day_too(backend: Backend) {
    let gateway = space(backend, &[]).await;
    for (now, from, to) in [
        ("2026-11-29T12:00:00Z", "2026-10-01", "2026-10-29"),
        ("2026-11-30T00:00:01Z", "2026-10-01", "2026-10-30"),
        ("2026-03-31T12:00:00Z", "2026-02-01", "2026-02-28"),
    ] {
        *gateway.now.lock().unwrap() = now.parse().unwrap();
        let answer = gateway.query("{ usage(filter: { range: THIS_MONTH }) { previous { from to } } }").await;
        assert_eq!(answer["usage"]["previous"], json!({ "from": from, "to": to }), "{now}");
    }
    // The last day of a quarter that is shorter than the one before.
    *gateway.now.lock().unwrap() = "2026-06-30T12:00:00Z".parse().unwrap();
    let answer = gateway.query("{ usage(filter: { range: THIS_QUARTER }) { previous { from to } } }").await;
    assert_eq!(answer["usage"]["previous"], json!({ "from": "2026-01-01", "to": "2026-03-30" }));
}

async fn a_leap_day_has_no_counterpart_and_moves_no_other(backend: Backend) {
    let visits = [
        ("2023-02-28", 2),
        ("2023-03-01", 30),
        ("2023-03-02", 3),
        ("2024-02-28", 2),
        ("2024-02-29", 9),
        ("2024-03-01", 30),
        ("2024-03-02", 3),
    ];
    let gateway = space(backend, &visits).await;
    let answer = gateway
        .query(
            "{ usage(filter: { from: \"2024-02-28\", to: \"2024-03-02\" }, gaps: ZERO) { buckets { label visits }
               previous(compareTo: PREVIOUS_YEAR) { buckets { label visits } } } }",
        )
        .await;
    let pairs = answer["usage"]["previous"]["buckets"].as_array().unwrap().clone();
    assert_eq!(
        pairs,
        [
            json!({ "label": "2023-02-28", "visits": 2 }),
            json!({ "label": null, "visits": null }),
            json!({ "label": "2023-03-01", "visits": 30 }),
            json!({ "label": "2023-03-02", "visits": 3 }),
        ]
    );
}

async fn days_that_are_left_out_are_no_counterparts(backend: Backend) {
    // A Monday in April, and the Friday in March with the same day number.
    let gateway = space(backend, &[("2024-04-01", 4), ("2024-03-01", 7), ("2024-03-04", 5)]).await;
    let answer = gateway
        .query(
            "{ usage(filter: { range: THIS_MONTH, weekdays: [MONDAY] }, gaps: ZERO) { buckets { label visits }
               previous { totals { visits } buckets { label visits change { visits } } } } }",
        )
        .await;
    let usage = &answer["usage"];
    assert_eq!(usage["buckets"][0], json!({ "label": "2024-04-01", "visits": 4 }));
    assert_eq!(usage["previous"]["totals"]["visits"], 5);
    for bucket in usage["previous"]["buckets"].as_array().unwrap() {
        assert_eq!(bucket, &json!({ "label": null, "visits": null, "change": { "visits": null } }));
    }
}

/// A day that is not over is compared with the same hours of the day before; also a range that is partly in the future.
async fn what_has_elapsed_is_compared(backend: Backend) {
    let days: Vec<String> = (1..=30).map(|day| format!("2026-11-{day:02}")).collect();
    let days: Vec<_> = days.iter().map(|day| (day.as_str(), 1)).collect();
    let gateway = space(backend, &days).await;
    // Each day has one visit, issued at nine.
    for (now, visits, up_to) in [
        ("2026-11-25T08:59:59Z", 0, "2026-11-24T08:45:00Z"),
        ("2026-11-25T09:14:59Z", 0, "2026-11-24T09:00:00Z"),
        ("2026-11-25T18:52:00Z", 1, "2026-11-24T18:45:00Z"),
    ] {
        *gateway.now.lock().unwrap() = now.parse().unwrap();
        let answer = gateway
            .query(
                "{ usage(filter: { range: TODAY }) { previous { from to upTo totals { visits } current { totals { visits } }
                   buckets { bucketLabel label visits isPartial change { visits } } } } }",
            )
            .await;
        let expected = json!({
            "from": "2026-11-24", "to": "2026-11-24", "upTo": up_to, "totals": { "visits": visits },
            "current": { "totals": { "visits": visits } },
            "buckets": [{ "bucketLabel": "2026-11-25", "label": "2026-11-24", "visits": visits, "isPartial": true,
                          "change": { "visits": 0 } }],
        });
        assert_eq!(answer["usage"]["previous"], expected, "{now}");
    }
    let answer = gateway
        .query(
            "{ usage(filter: { from: \"2026-11-20\", to: \"2026-12-10\" }, gaps: ZERO) {
               previous(compareTo: PREVIOUS_WEEKS) { from to upTo current { from to upTo } buckets { label visits } }
               days: previous(compareTo: PREVIOUS_WEEKS, extent: COMPLETE_DAYS) { from to upTo current { to upTo } }
               whole: previous(compareTo: PREVIOUS_WEEKS, extent: WHOLE) { from to upTo current { to upTo } } } }",
        )
        .await;
    let mut previous = answer["usage"]["previous"].clone();
    let buckets = previous.as_object_mut().unwrap().remove("buckets").unwrap();
    assert_eq!(buckets.as_array().unwrap().len(), 21);
    assert_eq!(buckets[5], json!({ "label": "2026-11-04", "visits": 1 }));
    assert_eq!(buckets[6], json!({ "label": null, "visits": null }), "the 26th has not begun");
    assert_eq!(
        previous,
        json!({ "from": "2026-10-30", "to": "2026-11-04", "upTo": "2026-11-04T18:45:00Z",
                "current": { "from": "2026-11-20", "to": "2026-11-25", "upTo": "2026-11-25T18:45:00Z" } })
    );
    assert_eq!(
        answer["usage"]["days"],
        json!({ "from": "2026-10-30", "to": "2026-11-03", "upTo": "2026-11-04T00:00:00Z",
                "current": { "to": "2026-11-24", "upTo": "2026-11-25T00:00:00Z" } })
    );
    assert_eq!(
        answer["usage"]["whole"],
        json!({ "from": "2026-10-30", "to": "2026-11-19", "upTo": "2026-11-20T00:00:00Z",
                "current": { "to": "2026-12-10", "upTo": "2026-12-11T00:00:00Z" } })
    );
}

const RANGES: [&str; 14] = [
    "TODAY",
    "YESTERDAY",
    "LAST_7_DAYS",
    "LAST_30_DAYS",
    "LAST_90_DAYS",
    "LAST_365_DAYS",
    "THIS_WEEK",
    "LAST_WEEK",
    "THIS_MONTH",
    "LAST_MONTH",
    "THIS_QUARTER",
    "LAST_QUARTER",
    "THIS_YEAR",
    "LAST_YEAR",
];

/// When all days are alike, no comparison shows a change, at any instant.
async fn days_that_are_alike_have_not_changed(backend: Backend) {
    for zone in ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"] {
        let mut random = fastrand::Rng::with_seed(17);
        let clock: chrono_tz::Tz = zone.parse().unwrap();
        let gateway = space(backend, &[]).await;
        // Includes a leap day, and the day that Apia skipped.
        let days = "2009-12-01".parse::<NaiveDate>().unwrap().iter_days().take(910);
        let rows: Vec<_> = days
            .flat_map(|day| {
                [(5, 10), (12, 0), (19, 45)].map(|(hour, minute)| {
                    let local = day.and_hms_opt(hour, minute, 0).unwrap();
                    let at = clock.from_local_datetime(&local).single()?.naive_utc();
                    Some(format!("(1, '------', '{at}', '{at}')"))
                })
            })
            .flatten()
            .collect();
        gateway
            .database
            .execute(&format!("INSERT INTO tokens (user_id, token, created_at, used_at) VALUES {}", rows.join(", ")))
            .await;
        for _ in 0..rounds(1) {
            let now = "2012-01-02T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap()
                + chrono::TimeDelta::seconds(random.i64(0..130 * 86_400));
            *gateway.now.lock().unwrap() = now;
            let from = now.date_naive() - chrono::Days::new(random.u64(0..300));
            let to = from + chrono::Days::new(random.u64(0..200));
            let mut filters: Vec<_> = RANGES.iter().map(|range| format!("range: {range}")).collect();
            filters.push(format!("from: \"{from}\", to: \"{to}\""));
            filters.push(format!("from: \"{from}\""));
            let compare_to = ["PREVIOUS_PERIOD", "PREVIOUS_WEEKS", "PREVIOUS_YEAR"][random.usize(..3)];
            let extent = ["ELAPSED", "ELAPSED", "COMPLETE_DAYS"][random.usize(..3)];
            for filter in filters {
                let question = format!(
                    "{{ usage(timeZone: \"{zone}\", filter: {{ {filter} }}, gaps: ZERO) {{
                       previous(compareTo: {compare_to}, extent: {extent}) {{
                         from to upTo current {{ from to upTo totals {{ visits }} }} totals {{ visits }}
                         change {{ visits uniqueVisitors }} changeRatio {{ visits }}
                         buckets {{ label visits change {{ visits }} }} }} }} }}"
                );
                let answer = gateway.query(&question).await;
                let previous = &answer["usage"]["previous"];
                let context = || format!("{now} {question}\n{previous:#.2000}");
                assert_eq!(previous["change"], json!({ "visits": 0, "uniqueVisitors": 0 }), "{}", context());
                let nothing = previous["totals"]["visits"] == 0;
                let ratio = if nothing { Value::Null } else { json!(0.0) };
                assert_eq!(previous["changeRatio"]["visits"], ratio, "{}", context());
                for bucket in previous["buckets"].as_array().unwrap() {
                    let change = if bucket["label"].is_null() { Value::Null } else { json!(0) };
                    assert_eq!(bucket["change"]["visits"], change, "{bucket} {}", context());
                }
            }
        }
    }
}
