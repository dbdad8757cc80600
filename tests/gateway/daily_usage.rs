//! `dailyUsage` on the recorded data: complete answers, and the effect of its arguments.

use serde_json::{Value, json};

use crate::support::{Backend, TestDatabase, TestGateway, on_both_databases, snapshot};

on_both_databases!(
    defaults_give_the_legacy_numbers,
    every_measure_of_a_week,
    days_are_cut_where_the_zone_cuts_them,
    gaps_are_filled_over_the_whole_range,
    an_open_end_is_filled_up_to_today,
    rows_are_sorted_and_limited,
    the_day_that_is_not_over_is_partial,
    filters_narrow_down,
);

async fn defaults_give_the_legacy_numbers(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let legacy: Value = serde_json::from_str(&crate::support::database::fixture("daily_usage.json")).unwrap();
    let answer = gateway.query("{ dailyUsage { date visits } }").await;
    let rows = answer["dailyUsage"].as_array().unwrap();
    let by_date = rows.iter().map(|row| (row["date"].as_str().unwrap().to_owned(), row["visits"].clone()));
    assert_eq!(Value::Object(by_date.collect()), legacy);
}

async fn every_measure_of_a_week(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let fields =
        "date startsAt startsAtMillis visits tokensIssued tokensUnused conversionRate uniqueVisitors isPartial";
    let filter = "filter: { from: \"2024-03-28\", to: \"2024-04-02\" }";
    for basis in ["ISSUED_AT", "USED_AT"] {
        let query = format!("{{ dailyUsage({filter}, timeZone: \"Europe/Berlin\", basis: {basis}) {{ {fields} }} }}");
        snapshot(&format!("daily_usage_week_{basis}"), &gateway.answer(&query).await);
    }
}

async fn days_are_cut_where_the_zone_cuts_them(backend: Backend) {
    let database = TestDatabase::empty(backend).await;
    // In Berlin, the 23-hour day begins at 23:00 UTC of the day before, the 25-hour day at 22:00 UTC of the day before.
    database
        .execute(
            "INSERT INTO users (first_name, last_name, joined_at) VALUES ('First', 'Last', '2020-01-01 00:00:00');
             INSERT INTO tokens (user_id, token, created_at, used_at) VALUES
                (1, 'sample', '2024-03-30 22:59:59.999999', '2024-03-30 23:00:00'),
                (1, 'sample', '2024-03-30 23:00:00', '2024-03-31 21:59:59.999999'),
                (1, 'sample', '2024-03-31 21:59:59.999999', '2024-03-31 22:00:00'),
                (1, 'sample', '2023-10-28 22:00:00', '2023-10-29 22:59:59.999999'),
                (1, 'sample', '2023-10-29 22:59:59.999999', '2023-10-29 23:00:00')",
        )
        .await;
    let gateway = TestGateway::on(database, &[]).await;
    let counts = async |from: &str, basis: &str| {
        let query = format!(
            "{{ dailyUsage(filter: {{ from: \"{from}\", to: \"{from}\" }}, timeZone: \"Europe/Berlin\", basis: {basis}) \
             {{ date startsAt visits tokensIssued }} }}"
        );
        gateway.query(&query).await["dailyUsage"].take()
    };
    let day = |date, starts_at, visits, issued| json!([{ "date": date, "startsAt": starts_at, "visits": visits, "tokensIssued": issued }]);
    assert_eq!(counts("2024-03-31", "ISSUED_AT").await, day("2024-03-31", "2024-03-30T23:00:00Z", 2, 2));
    assert_eq!(counts("2024-03-31", "USED_AT").await, day("2024-03-31", "2024-03-30T23:00:00Z", 2, 2));
    assert_eq!(counts("2023-10-29", "ISSUED_AT").await, day("2023-10-29", "2023-10-28T22:00:00Z", 2, 2));
    assert_eq!(counts("2023-10-29", "USED_AT").await, day("2023-10-29", "2023-10-28T22:00:00Z", 1, 2));
}

async fn gaps_are_filled_over_the_whole_range(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let filled = async |gaps: &str| {
        let query = format!(
            "{{ dailyUsage(filter: {{ from: \"2024-02-28\", to: \"2024-03-02\" }}, gaps: {gaps}) \
             {{ date visits tokensIssued uniqueVisitors conversionRate isPartial }} }}"
        );
        gateway.answer(&query).await
    };
    snapshot("daily_usage_gaps_zero", &filled("ZERO").await);
    snapshot("daily_usage_gaps_null", &filled("NULL").await);
}

async fn an_open_end_is_filled_up_to_today(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let dates = async |filter: &str| {
        let query =
            format!("{{ dailyUsage(filter: {{ {filter} }}, gaps: ZERO, timeZone: \"Asia/Tokyo\") {{ date }} }}");
        let answer = gateway.query(&query).await;
        let rows = answer["dailyUsage"].as_array().unwrap();
        let date = |row: Option<&Value>| row.map(|row| row["date"].as_str().unwrap().to_owned()).unwrap_or_default();
        (date(rows.first()), date(rows.last()), rows.len())
    };
    // The test's clock shows noon of April 14 in UTC, which is the evening of that day in Tokyo.
    assert_eq!(dates("from: \"2024-04-10\", userIds: []").await, ("2024-04-10".into(), "2024-04-14".into(), 5));
    assert_eq!(dates("to: \"2024-03-02\"").await, ("2024-03-01".into(), "2024-03-02".into(), 2));
    assert_eq!(dates("from: \"2024-05-01\"").await, (String::new(), String::new(), 0));
}

async fn rows_are_sorted_and_limited(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let top = async |order: &str, field: &str| {
        let query = format!("{{ dailyUsage(orderBy: {{ {order} }}, first: 3) {{ date {field} }} }}");
        gateway.query(&query).await["dailyUsage"].take()
    };
    let busiest = json!([
        { "date": "2024-03-20", "visits": 27 },
        { "date": "2024-03-11", "visits": 22 },
        { "date": "2024-03-27", "visits": 21 },
    ]);
    assert_eq!(top("field: VISITS, direction: DESC", "visits").await, busiest);
    // Sorting by a measure works without selecting it.
    let dates = |rows: &Value| rows.as_array().unwrap().iter().map(|row| row["date"].clone()).collect::<Vec<_>>();
    assert_eq!(dates(&top("field: VISITS, direction: DESC", "").await), dates(&busiest));
    assert_eq!(dates(&top("direction: DESC", "").await), ["2024-04-14", "2024-04-13", "2024-04-12"]);
}

async fn the_day_that_is_not_over_is_partial(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let partial = async |zone: &str| {
        let query = format!(
            "{{ dailyUsage(filter: {{ from: \"2024-04-13\" }}, timeZone: \"{zone}\", gaps: ZERO) {{ date isPartial }} }}"
        );
        let answer = gateway.query(&query).await;
        let rows = answer["dailyUsage"].as_array().unwrap();
        rows.iter()
            .filter(|row| row["isPartial"] == true)
            .map(|row| row["date"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(partial("UTC").await, ["2024-04-14"]);
    // 12:00 UTC is the first instant of the 15th in Auckland, where it is winter time, so the 14th is over.
    assert_eq!(partial("Pacific/Auckland").await, ["2024-04-15"]);
}

async fn filters_narrow_down(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let issued = async |filter: &str| {
        let answer = gateway.query(&format!("{{ dailyUsage(filter: {{ {filter} }}) {{ tokensIssued }} }}")).await;
        answer["dailyUsage"].as_array().unwrap().iter().map(|row| row["tokensIssued"].as_i64().unwrap()).sum::<i64>()
    };
    let all = issued("").await;
    assert_eq!(all, 1_115);
    assert_eq!(issued("isActive: true").await + issued("isActive: false").await, all);
    assert_eq!(issued("joinedTo: \"2023-12-31\"").await + issued("joinedFrom: \"2024-01-01\"").await, all);
    assert_eq!(
        issued("weekdays: [MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY]").await
            + issued("weekdays: [SATURDAY, SUNDAY]").await,
        all
    );
    assert_eq!(issued("userIds: [2, 3]").await, 13);
    assert_eq!(issued("userIds: []").await, 0);
    assert_eq!(issued("weekdays: []").await, 0);
}
