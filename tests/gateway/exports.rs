//! The reports over plain HTTP: the same numbers as CSV, as lines of JSON, and as filtered JSON.

use std::fmt::Write as _;

use axum::{
    body::Body,
    http::{Request, Version},
};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    Answer, Backend, TestDatabase, TestGateway, database::fixture, on_both_databases, process::Service, requests::of,
    snapshot_text,
};

on_both_databases!(
    nothing_asked_is_answered_as_ever,
    parameters_filter_the_legacy_maps,
    rows_are_those_of_graphql,
    rows_of_members_and_tokens_are_those_of_graphql,
    a_list_of_any_length_arrives_whole,
    a_spreadsheet_opens_every_report,
);

async fn nothing_asked_is_answered_as_ever(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    for report in ["daily_usage", "user_visits"] {
        for accept in ["", "*/*", "text/html, application/xhtml+xml, */*;q=0.8", "application/json, text/csv;q=0.5"] {
            let answer = accepting(&gateway, &format!("/api/reports/{report}"), accept).await;
            assert_eq!(answer.body, fixture(&format!("{report}.json")), "{report}, {accept}");
            assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
        }
    }
}

async fn parameters_filter_the_legacy_maps(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let all: Value = serde_json::from_str(&fixture("daily_usage.json")).unwrap();
    let some = gateway.get("/api/reports/daily_usage?from=2024-03-01&to=2024-03-31").await.json();
    let march = all.as_object().unwrap().iter().filter(|(date, _)| date.starts_with("2024-03"));
    assert_eq!(some, march.map(|(date, visits)| (date.clone(), visits.clone())).collect::<Value>());
    let all: Value = serde_json::from_str(&fixture("user_visits.json")).unwrap();
    let two = gateway.get("/api/reports/user_visits?user_ids=2,3&format=json").await;
    assert_eq!(two.json(), json!({ "2": all["2"], "3": all["3"] }));
    assert!(two.body.ends_with("}\n"), "a newline ends it, as ever");
    // Streamed with all members, the report is the legacy report, byte for byte.
    let streamed = gateway.get("/api/reports/user_visits?direction=ASC").await;
    assert_eq!(streamed.body, fixture("user_visits.json"));
}

async fn rows_are_those_of_graphql(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let data = gateway
        .query(
            "{ days: dailyUsage(timeZone: \"Asia/Tehran\", basis: USED_AT, filter: { weekdays: [MONDAY, FRIDAY] }) {
                   date starts_at: startsAt visits tokens_issued: tokensIssued tokens_unused: tokensUnused
                   conversion_rate: conversionRate unique_visitors: uniqueVisitors is_partial: isPartial }
               members: userVisits(first: 1000, orderBy: { field: VISITS, direction: DESC }, filter: {
                   range: LAST_90_DAYS, isActive: true, minVisits: 1 }) { nodes {
                   user_id: userId user { first_name: firstName last_name: lastName } visits tokens_issued: tokensIssued
                   tokens_unused: tokensUnused first_visit_at: firstVisitAt last_visit_at: lastVisitAt
                   joined_at: joinedAt is_active: isActive } }
               series: usage(granularity: WEEK, weekStart: SUNDAY, gaps: ZERO, filter: { range: THIS_YEAR }) { buckets {
                   start end label visits tokens_issued: tokensIssued tokens_unused: tokensUnused
                   conversion_rate: conversionRate unique_visitors: uniqueVisitors is_partial: isPartial
                   new_visitors: newVisitors returning_visitors: returningVisitors visits_per_visitor: visitsPerVisitor } }
               heat: heatmap(timeZone: \"Europe/Berlin\") { cells { ...Cell } months { label cells { ...Cell } } }
               cohorts: retention(periods: 3, cohort: WEEK, filter: { range: LAST_90_DAYS }) {
                   start label members periods { index start active rate isPartial } } }
             fragment Cell on HeatmapCell { weekday hour visits share occurrences average tokens_issued: tokensIssued
                   tokens_unused: tokensUnused conversion_rate: conversionRate average_time_to_use: averageTimeToUse }",
        )
        .await;
    let cells = |of: &Value, month: &Value| -> Vec<Value> {
        let with_month = |cell: &Value| {
            let mut cell = cell.clone();
            cell["month"] = month.clone();
            cell
        };
        of["cells"].as_array().unwrap().iter().map(with_month).collect()
    };
    let months: Vec<_> =
        data["heat"]["months"].as_array().unwrap().iter().flat_map(|month| cells(month, &month["label"])).collect();
    let cohorts = data["cohorts"].as_array().unwrap().iter().flat_map(|cohort| {
        cohort["periods"].as_array().unwrap().iter().map(move |period| {
            json!({ "cohort_start": cohort["start"], "cohort_label": cohort["label"], "members": cohort["members"],
                "period": period["index"], "period_start": period["start"], "active": period["active"],
                "rate": period["rate"], "is_partial": period["isPartial"] })
        })
    });
    for (path, rows) in [
        ("daily_usage?time_zone=Asia/Tehran&basis=USED_AT&weekdays=MONDAY,FRIDAY", data["days"].clone()),
        (
            "user_visits?range=LAST_90_DAYS&is_active=true&min_visits=1&order_by=VISITS&direction=DESC",
            flat(&data["members"]["nodes"], "user"),
        ),
        ("usage?granularity=WEEK&week_start=SUNDAY&gaps=ZERO&range=THIS_YEAR", data["series"]["buckets"].clone()),
        ("heatmap?time_zone=Europe/Berlin", json!(cells(&data["heat"], &Value::Null))),
        ("heatmap?time_zone=Europe/Berlin&months=true", json!(months)),
        ("retention?periods=3&cohort=WEEK&range=LAST_90_DAYS", cohorts.collect()),
    ] {
        holds_rows(&gateway, path, rows.as_array().unwrap()).await;
    }
}

async fn rows_of_members_and_tokens_are_those_of_graphql(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    for (path, question) in [
        (
            "members?new_within_days=700&active_within_days=20&order_by=LAST_VISIT_AT&direction=DESC&time_zone=Asia/Tehran",
            "members(first: 1000, newWithinDays: 700, activeWithinDays: 20, timeZone: \"Asia/Tehran\",
                orderBy: { field: LAST_VISIT_AT, direction: DESC })",
        ),
        ("members?segment=ACTIVE", "members(first: 1000, segment: ACTIVE)"),
        ("members?name_contains=A%20S", "members(first: 1000, filter: { nameContains: \"a s\" })"),
        ("members?segment=NEW&new_within_days=900", "members(first: 1000, segment: NEW, newWithinDays: 900)"),
        (
            "members?segment=LAPSING&active_within_days=3&lapsed_after_days=60&is_active=true&joined_from=2020-01-01&first=3",
            "members(first: 3, segment: LAPSING, activeWithinDays: 3, lapsedAfterDays: 60, filter: { isActive: true,
                joinedFrom: \"2020-01-01\" })",
        ),
        (
            "active_users?range=LAST_30_DAYS&time_zone=Asia/Tehran&basis=USED_AT&weekdays=MONDAY,FRIDAY",
            "activeUsers(timeZone: \"Asia/Tehran\", basis: USED_AT, filter: { range: LAST_30_DAYS, weekdays: [MONDAY, FRIDAY] })",
        ),
        (
            "token_funnel?range=LAST_365_DAYS&is_active=true&time_zone=Asia/Tehran",
            "tokenFunnel(timeZone: \"Asia/Tehran\", filter: { range: LAST_365_DAYS, isActive: true })",
        ),
        (
            "segments?active_within_days=20&time_zone=Asia/Tehran",
            "segments(activeWithinDays: 20, timeZone: \"Asia/Tehran\")",
        ),
        (
            "membership?range=LAST_365_DAYS&stopped_after_days=14",
            "membership(filter: { range: LAST_365_DAYS }, stoppedAfterDays: 14)",
        ),
        ("frequency?range=LAST_30_DAYS&basis=USED_AT", "frequency(filter: { range: LAST_30_DAYS }, basis: USED_AT)"),
        ("forecast?days=9&time_zone=Asia/Tehran", "forecast(days: 9, timeZone: \"Asia/Tehran\")"),
    ] {
        let (fields, inner) = match path.split_once('?').unwrap().0 {
            "members" => (
                "nodes { user_id: userId user { first_name: firstName last_name: lastName } segment
                    days_since_last_visit: daysSinceLastVisit visits tokens_issued: tokensIssued first_visit_at: firstVisitAt
                    last_visit_at: lastVisitAt joined_at: joinedAt is_active: isActive }",
                Some("user"),
            ),
            "segments" => ("segment members active_members: activeMembers", None),
            "membership" => ("start end label joined active first_visits: firstVisits returning stopped is_partial: isPartial", None),
            "frequency" => ("visits members members_at_least: membersAtLeast", None),
            "forecast" => ("days { date starts_at: startsAt expected lower upper }", None),
            "active_users" => ("date starts_at: startsAt daily weekly monthly stickiness is_partial: isPartial", None),
            _ => (
                "issued used unused conversion_rate: conversionRate used_before_issued: usedBeforeIssued timeToUse {
                    time_to_use_count: count time_to_use_median: median time_to_use_p90: p90 time_to_use_p99: p99 }",
                Some("timeToUse"),
            ),
        };
        let mut rows = gateway.query(&format!("{{ rows: {question} {{ {fields} }} }}")).await["rows"].take();
        for list in ["nodes", "days"] {
            if rows.get(list).is_some() {
                rows = rows[list].take();
            }
        }
        if rows.is_object() {
            rows = json!([rows]);
        }
        let rows = inner.map_or(rows.clone(), |inner| flat(&rows, inner));
        holds_rows(&gateway, path, rows.as_array().unwrap()).await;
    }
}

/// Rows with the fields of an inner object moved to the row.
fn flat(rows: &Value, inner: &str) -> Value {
    let mut rows = rows.clone();
    for row in rows.as_array_mut().unwrap() {
        let fields = row.as_object_mut().unwrap().remove(inner).unwrap();
        row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    }
    rows
}

/// Checks that the route has these rows, in every format.
async fn holds_rows(gateway: &TestGateway, path: &str, rows: &[Value]) {
    assert!(!rows.is_empty(), "{path}");
    let lines = gateway.get(&format!("/api/reports/{path}&format=ndjson")).await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let whole = lines.body.strip_suffix("\n\n").expect("an empty line ends it");
    let read: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&read, rows, "{path}");
    // As JSON, the two legacy reports have the legacy service's map.
    if !path.starts_with("daily_usage") && !path.starts_with("user_visits") {
        assert_eq!(gateway.get(&format!("/api/reports/{path}")).await.json(), json!(rows), "{path}");
    }
    let csv = accepting(gateway, &format!("/api/reports/{path}"), "text/csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert!(csv.header("content-disposition").starts_with("attachment; filename=\""), "{path}");
    let mut lines = csv.body.split_terminator("\r\n");
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    for row in rows {
        let line = lines.next().unwrap();
        for (name, cell) in names.iter().zip(line.split(',')) {
            // Parsed with the same JSON parser as the GraphQL answer.
            let cell = match &row[*name] {
                Value::Null if cell.is_empty() => Value::Null,
                Value::String(_) => json!(cell),
                _ => serde_json::from_str(cell).unwrap(),
            };
            assert_eq!(cell, row[*name], "{path}: {name} of {line}");
        }
        assert_eq!(line.split(',').count(), names.len(), "{path}: {line}");
    }
    assert_eq!(lines.next(), None, "{path}");
    // The same cells for a spreadsheet; no cell here needs quotes.
    let excel = gateway.get(&format!("/api/reports/{path}&format=excel")).await;
    let (cells, excel) = (csv.body.split([',', '\r']), excel.body.strip_prefix('\u{feff}').unwrap().split([';', '\r']));
    assert!(cells.eq(excel.map(|cell| cell.replace(',', "."))), "{path}");
}

/// A list that needs several chunks, with names that a spreadsheet would take for formulas.
async fn a_list_of_any_length_arrives_whole(backend: Backend) {
    let gateway = TestGateway::empty(backend).await;
    let member = |n: u32| format!("({n}, '=1+{n}', 'O''Neill, \"Jo\"', '2024-01-01 00:00:00', true)");
    let members: Vec<_> = (1..=9_000).map(member).collect();
    gateway.database.execute(&format!("INSERT INTO users VALUES {}", members.join(", "))).await;
    let path = "/api/reports/user_visits?include_users_without_visits=true&format=csv";
    let csv = gateway.get(path).await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"user_visits.csv\"");
    let mut lines = csv.body.split_terminator("\r\n").skip(1);
    for n in 1..=9_000 {
        let line = format!("{n},'=1+{n},\"O'Neill, \"\"Jo\"\"\",0,0,0,,,2024-01-01T00:00:00Z,true");
        assert_eq!(lines.next(), Some(line.as_str()));
    }
    assert_eq!(lines.next(), None);
    let members = gateway.get("/api/reports/members?segment=NEVER_CAME").await.json();
    let row = json!({ "user_id": 9_000, "first_name": "=1+9000", "last_name": "O'Neill, \"Jo\"", "segment": "NEVER_CAME",
        "days_since_last_visit": null, "visits": 0, "tokens_issued": 0, "first_visit_at": null, "last_visit_at": null,
        "joined_at": "2024-01-01T00:00:00Z", "is_active": true });
    assert_eq!((members.as_array().unwrap().len(), &members[8_999]), (9_000, &row));
    let first = gateway.get(&format!("{path}&first=3")).await;
    assert_eq!(first.body.lines().count(), 4);
    let head = gateway.send(Request::head(path).body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""));
}

async fn a_spreadsheet_opens_every_report(backend: Backend) {
    let gateway = TestGateway::empty(backend).await;
    for sql in [
        "INSERT INTO users VALUES (1, 'Zoë', 'a;b', '2024-01-01', true), (2, 'c,d', 'e\tf', '2024-01-01', true),
            (3, '\"Jo\"', '=1+1', '2024-01-01', false)",
        "INSERT INTO tokens VALUES (1, 1, 'one', '2024-03-04 09:00:00', '2024-03-04 09:00:00'),
            (2, 1, 'two', '2024-03-04 09:00:00', NULL)",
    ] {
        gateway.database.execute(sql).await;
    }
    let begin = "user_id;first_name;last_name;visits;tokens_issued;tokens_unused;first_visit_at;last_visit_at;joined_at;is_active";
    let rest = ["0", "0", "0", "", "", "2024-01-01T00:00:00Z"].join(";");
    let members = format!(
        "\u{feff}{begin}\r\n1;Zoë;\"a;b\";1;2;1;2024-03-04T09:00:00Z;2024-03-04T09:00:00Z;2024-01-01T00:00:00Z;true\r\n\
         2;\"c,d\";\"e\tf\";{rest};true\r\n3;\"\"\"Jo\"\"\";'=1+1;{rest};false\r\n"
    );
    for (query, delimiter) in
        [("", ";"), ("&delimiter=;", ";"), ("&delimiter=%3B", ";"), ("&delimiter=,", ","), ("&delimiter=tab", "\t")]
    {
        let list = format!("/api/reports/user_visits?include_users_without_visits=true&format=excel{query}");
        let list = accepting(&gateway, &list, "application/json").await;
        // A separator that is part of a name is kept.
        let expected = members.replace(';', delimiter).replace(&format!("a{delimiter}b"), "a;b");
        assert_eq!(list.body, expected, "{query}");
        assert_eq!(list.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(list.header("content-disposition"), "attachment; filename=\"user_visits.csv\"");
        let rate = if delimiter == ";" { "0,5" } else { "0.5" };
        let day = ["2024-03-04", "2024-03-04T00:00:00Z", "1", "2", "1", rate, "1", "false"].join(delimiter);
        let days = gateway.get(&format!("/api/reports/daily_usage?format=excel{query}")).await;
        assert_eq!(days.body.lines().nth(1), Some(day.as_str()), "{query}");
    }
    // The format for programs is unchanged.
    let csv = gateway.get("/api/reports/daily_usage?format=csv").await;
    assert!(csv.body.starts_with("date,") && csv.body.contains(",0.5,"));
}

#[tokio::test]
async fn mistakes_in_parameters_are_told_apart_by_name() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    gateway.database.execute("DROP TABLE tokens; DROP TABLE users").await;
    let mut said = String::new();
    for path in [
        "daily_usage?form=2024-03-01",
        "daily_usage?to=2024-03-01&to=2024-03-02",
        "daily_usage?from=2024-03-02&to=2024-03-01",
        "daily_usage?from=yesterday",
        "daily_usage?range=LAST_WEEK&from=2024-03-01",
        "daily_usage?range=last_week",
        "daily_usage?format=xml",
        "daily_usage?format=excel&delimiter=|",
        "daily_usage?format=excel&delimiter=",
        "daily_usage?format=csv&delimiter=;",
        "user_visits?delimiter=tab",
        "daily_usage?weekdays=MONDAY,SOMEDAY",
        "daily_usage?gaps=ZERO&from=1990-01-01",
        "daily_usage?time_zone=Mars/Olympus",
        "daily_usage?is_active=yes",
        "user_visits?user_ids=1,x",
        "user_visits?min_visits=3&max_visits=2",
        "user_visits?joined_from=2024-03-02&joined_to=2024-03-01",
        "user_visits?last_visit_before=2024-02-30",
        "user_visits?order_by=NAME",
        "user_visits?first=0",
        "usage?week_start=SUNDAY",
        "usage?granularity=MINUTE",
        "usage?first=1",
        "heatmap?basis=USED",
        "retention?periods=0",
        "retention?periods=many",
        "retention?cohort=WEEK&from=2019-01-01",
        "members?segment=GONE",
        "members?new_within_days=0",
        "members?lapsed_after_days=20",
        "members?range=TODAY",
        "members?order_by=NAME",
        "active_users?from=2001-01-01&to=2024-01-01",
        "token_funnel?basis=USED_AT",
    ] {
        let answer = gateway.get(&format!("/api/reports/{path}")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        let error = answer.json()["errors"][0].take();
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{path}");
        let (argument, message) = (error["extensions"]["argument"].as_str(), error["message"].as_str());
        writeln!(said, "{path}\n  {}: {}", argument.unwrap(), message.unwrap()).unwrap();
    }
    snapshot_text("bad_parameters", &said);
    // Failures for other reasons have their own code, and are not sent as a file.
    for report in gateway.get("/api/reports").await.json().as_array().unwrap() {
        let report = report["path"].as_str().unwrap();
        // Notes are read from a file.
        if report.ends_with("/notes") {
            continue;
        }
        let answer = gateway.get(&format!("{report}?format=excel")).await;
        assert_eq!(answer.status, 500, "{report}");
        assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR", "{report}");
        assert_eq!(answer.header("content-disposition"), "");
    }
}

/// A list whose last member cannot be read, in every format that has an end of its own and in CSV, which has none.
#[tokio::test]
async fn a_part_of_a_list_never_passes_for_the_whole() {
    // A list that was refused in its middle has its slot for a moment more.
    let variables = [("MAX_RESPONSE_BYTES", "2000000"), ("DB_MAX_CONNECTIONS", "16")];
    let gateway = TestGateway::configured(&variables).await;
    let member = |n: u32| format!("({n}, 'First', 'Last', '2024-01-01 00:00:00', true)");
    let members: Vec<_> = (100_001..=109_000).map(member).collect();
    gateway.database.execute(&format!("INSERT INTO users VALUES {}", members.join(", "))).await;
    let path = |format: &str| format!("/api/reports/user_visits?include_users_without_visits=true&format={format}");
    let ask = async |version: Version, path: &str| {
        let request = Request::get(path).version(version).body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(gateway.router.clone(), request).await.unwrap()
    };
    for format in ["csv", "excel", "ndjson", "json"] {
        let whole = ask(Version::HTTP_11, &path(format)).await;
        assert_eq!(whole.headers()["trailer"], "x-row-count", "{format}");
        let whole = whole.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["x-row-count"], "9320", "{format}");
        let text = String::from_utf8(whole.to_bytes().to_vec()).unwrap();
        let end = match format {
            "ndjson" => "}\n\n",
            "json" => "}\n",
            _ => "true\r\n",
        };
        assert!(text.ends_with(end), "{format}");
        // HTTP/1.0 has the same bytes, and their number first.
        let old = ask(Version::HTTP_10, &path(format)).await;
        assert_eq!(old.body().size_hint().exact(), Some(text.len() as u64), "{format}");
        assert_eq!(crate::support::read(old).await.body, text, "{format}");
    }
    let longer: Vec<_> = (109_001..=119_000).map(member).collect();
    gateway.database.execute(&format!("INSERT INTO users VALUES {}", longer.join(", "))).await;
    let refused = crate::support::read(ask(Version::HTTP_10, &path("ndjson")).await).await;
    assert_eq!((refused.status.as_u16(), refused.header("upgrade")), (426, "HTTP/1.1"));
    let error = refused.json()["errors"][0].take();
    assert_eq!(error["extensions"]["code"], "UPGRADE_REQUIRED");
    assert!(error["message"].as_str().unwrap().contains("proxy_http_version 1.1"), "{error}");
    assert_eq!(ask(Version::HTTP_10, &(path("csv") + "&first=5")).await.status(), 200);

    gateway.database.execute("UPDATE users SET first_name = CAST(X'ff' AS TEXT) WHERE id = 109000").await;
    // The map of JSON has no names.
    for format in ["csv", "excel", "ndjson"] {
        let path = path(format);
        let broken = ask(Version::HTTP_11, &path).await;
        assert_eq!(broken.status(), 200, "{format}");
        assert!(broken.into_body().collect().await.is_err(), "{format} ends as if it were whole");
    }
    let refused = ask(Version::HTTP_10, &path("csv")).await.status();
    assert!(refused.is_server_error(), "{refused}");
}

/// The same on the wire, where a proxy or a client reads it.
#[tokio::test]
async fn every_protocol_tells_where_a_list_ends() {
    let service = Service::start(&[("USAGE_LOG_INTERVAL", "off")]).await;
    let path = "/api/reports/user_visits?include_users_without_visits=true&format=csv";
    let raw = async |version: &str, header: &str| {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let request = format!("GET {path} HTTP/{version}\r\nhost: a\r\nconnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    };
    let (head, list) = raw("1.0", "").await;
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", list.len())), "{head}");
    assert_eq!(list.lines().count(), 1_001);
    let (head, chunks) = raw("1.1", "te: trailers\r\n").await;
    assert!(head.contains("\r\ntrailer: x-row-count\r\n"), "{head}");
    assert!(chunks.ends_with("\r\n0\r\nx-row-count: 1000\r\n\r\n"), "{chunks:.100}");
    assert!(raw("1.1", "").await.1.ends_with("\r\n0\r\n\r\n"));

    let stream = TokioIo::new(TcpStream::connect(service.address).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Body>(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://{}{path}", service.address)).body(Body::empty()).unwrap();
    let answer = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["x-row-count"], "1000");
    assert_eq!(answer.to_bytes(), list);
}

/// When a reader stops, a bounded number of rows wait for it, and its slot is released after a while.
#[tokio::test]
async fn exports_are_bounded() {
    // Three of six database connections are for what is heavy, two of them for lists.
    let variables = [("DB_MAX_CONNECTIONS", "6"), ("TRUSTED_PROXY_HOPS", "1")];
    let gateway = TestGateway::on(TestDatabase::empty(Backend::Sqlite).await, &variables).await;
    let member = |n: u32| format!("({n}, 'First', 'Last', '2024-01-01 00:00:00', true)");
    for thousand in 0..20 {
        let members: Vec<_> = (0..1_000).map(|n| member(thousand * 1_000 + n)).collect();
        gateway.database.execute(&format!("INSERT INTO users VALUES {}", members.join(", "))).await;
    }
    let path = "/api/reports/user_visits?include_users_without_visits=true&format=csv";
    let begin_from = async |address: &str| {
        let request = of(address, Request::get(path).body(Body::empty()).unwrap());
        tower::ServiceExt::oneshot(gateway.router.clone(), request).await.unwrap()
    };
    let begin = async || begin_from("203.0.113.1").await;
    let first = begin().await;
    let greedy = crate::support::read(begin().await).await;
    assert_eq!((greedy.status.as_u16(), greedy.header("retry-after")), (429, "1"));
    assert_eq!(greedy.json()["errors"][0]["extensions"]["limit"], "exportsPerAddress");
    let second = begin_from("203.0.113.2").await;
    let third = crate::support::read(begin_from("203.0.113.3").await).await;
    assert_eq!(third.status, 503);
    assert_eq!(third.json()["errors"][0]["extensions"]["limit"], "exports");
    // Reports are still answered.
    assert_eq!(gateway.query("{ userVisits { totalCount } }").await["userVisits"]["totalCount"], 0);
    drop(first);
    let read = crate::support::read(second).await;
    assert_eq!(read.body.lines().count(), 20_001);
    for attempt in 0.. {
        let again = crate::support::read(begin().await).await;
        if again.status == 200 {
            break;
        }
        assert!(attempt < 200, "the place of a reader that left is never free");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_route_is_described() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    let document = gateway.get("/api/openapi.json").await;
    assert_eq!(document.header("content-type"), "application/json");
    let document = document.json();
    let paths = document["paths"].as_object().unwrap();
    for path in ["/health_check", "/readiness_check", "/api/status", "/api/reports"] {
        assert!(paths.contains_key(path), "{path}");
    }
    // The listed reports are those of the description, and each is answered.
    let listed = gateway.get("/api/reports").await;
    assert_eq!((listed.status.as_u16(), listed.header("content-type")), (200, "application/json"));
    assert_eq!(gateway.get("/api/reports/").await.body, listed.body);
    assert_eq!(gateway.send(Request::post("/api/reports").body(Body::empty()).unwrap()).await.status, 405);
    let listed = listed.json();
    let described = paths.keys().filter(|path| path.starts_with("/api/reports/")).count();
    assert_eq!(described, listed.as_array().unwrap().len());
    for report in listed.as_array().unwrap() {
        let path = report["path"].as_str().unwrap();
        assert_eq!(path, format!("/api/reports/{}", report["name"].as_str().unwrap()));
        let described = &paths[path]["get"];
        assert_eq!(described["summary"], report["about"]);
        let parameters = described["parameters"].as_array().unwrap();
        assert!(
            parameters.iter().all(|parameter| parameter["description"].as_str().is_some_and(|text| text.len() > 10))
        );
        assert_eq!(
            report["parameters"],
            parameters.iter().map(|parameter| parameter["name"].clone()).collect::<Value>()
        );
        assert_eq!(report["formats"], parameters[0]["schema"]["enum"], "{path}");
        let header = gateway.get(&format!("{path}?format=csv")).await;
        let columns: Vec<_> = header.body.lines().next().unwrap().split(',').collect();
        assert_eq!(report["columns"], json!(columns), "{path}");
    }
}

async fn accepting(gateway: &TestGateway, path: &str, accept: &str) -> Answer {
    gateway.send(Request::get(path).header("accept", accept).body(Body::empty()).unwrap()).await
}
