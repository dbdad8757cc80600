//! What a range is compared with, and which day with which.

use serde_json::json;

use crate::support::{Backend, TestGateway, on_both_databases};

on_both_databases!(
    this_month_is_compared_up_to_the_same_day_on_its_last_day_too,
    a_leap_day_has_no_counterpart_and_moves_no_other,
    days_that_are_left_out_are_no_counterparts,
);

/// Visits on these days, so many each.
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
    // A Monday of April, and the Friday of March with its number.
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
