//! Two databases and a model that reads rows one by one: all three must say the same, for random
//! rows around the moments when clocks change, and random questions about them.

mod model;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use coworking_analytics::reports::time_zone::Zone;
use serde_json::{Value, json};

use self::model::{Member, Space, Token};
use crate::support::{Backend, TestDatabase, TestGateway};

/// Zones whose clocks do everything that clocks do: half-hour changes, changes at midnight and just
/// after it, a skipped day, a pause of daylight saving in Ramadan, odd offsets, the southern summer.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
];
const QUESTIONS: usize = 150;

const DAILY: &str = "query Q($filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!, $gaps: GapFill!) {
    dailyUsage(filter: $filter, timeZone: $zone, basis: $basis, gaps: $gaps) {
        date startsAtMillis visits tokensIssued tokensUnused uniqueVisitors conversionRate isPartial } }";
const MEMBERS: &str = "query Q($filter: UserVisitsFilterInput, $order: UserVisitsOrderInput, $first: Int, $after: String, $last: Int, $before: String) {
    userVisits(filter: $filter, orderBy: $order, first: $first, after: $after, last: $last, before: $before) {
        totalCount totals { visits tokensIssued tokensUnused }
        nodes { userId visits tokensIssued tokensUnused firstVisitAt lastVisitAt joinedAt isActive user { id } }
        pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }";

#[tokio::test]
async fn databases_and_model_agree() {
    // Another seed is another space; a failure prints the question, and this one repeats it.
    let mut random = fastrand::Rng::with_seed(0xdecaf);
    let space = invent(&mut random);
    let gateways = [filled(Backend::Sqlite, &space).await, filled(Backend::Postgres, &space).await];
    for _ in 0..QUESTIONS {
        let question = daily_question(&mut random);
        let expected = space.daily_usage(&question);
        for gateway in &gateways {
            let answer = gateway.post(DAILY, question.clone()).await.json();
            same(&answer["data"]["dailyUsage"], &expected, gateway, &question);
        }
        let question = members_question(&mut random);
        let expected = space.user_visits(&question);
        for gateway in &gateways {
            agree_page_by_page(gateway, &question, &expected).await;
        }
    }
}

/// Reads the list forwards or backwards in small pages, and compares all of it.
async fn agree_page_by_page(gateway: &TestGateway, question: &Value, expected: &model::Members) {
    let backend = gateway.database.backend;
    let backward = question["backward"] == json!(true);
    let mut nodes: Vec<Value> = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let size = question["size"].clone();
        let paging = if backward {
            json!({ "last": size, "before": cursor })
        } else {
            json!({ "first": size, "after": cursor })
        };
        let mut variables = json!({ "filter": question["filter"], "order": question["order"] });
        variables.as_object_mut().unwrap().extend(paging.as_object().unwrap().clone());
        let answer = gateway.post(MEMBERS, variables).await.json();
        let list = &answer["data"]["userVisits"];
        assert_eq!(list["totals"], expected.totals, "{backend:?}: {question} {answer:#}");
        assert_eq!(list["totalCount"], json!(expected.rows.len()), "{backend:?}: {question}");
        let page = list["nodes"].as_array().unwrap();
        let info = &list["pageInfo"];
        let (more, behind) =
            if backward { ("hasPreviousPage", "hasNextPage") } else { ("hasNextPage", "hasPreviousPage") };
        assert_eq!(info[behind], json!(!nodes.is_empty()), "{backend:?}: {question}");
        if backward {
            nodes.splice(0..0, page.iter().cloned());
            cursor = info["startCursor"].clone();
        } else {
            nodes.extend(page.iter().cloned());
            cursor = info["endCursor"].clone();
        }
        assert_eq!(info[more], json!(nodes.len() < expected.rows.len()), "{backend:?}: {question}");
        if info[more] == json!(false) {
            break;
        }
    }
    same(&json!(nodes), &expected.rows, gateway, question);
}

/// Compares rows; a failure shows the first that differs.
fn same(answer: &Value, expected: &[Value], gateway: &TestGateway, question: &Value) {
    let rows = answer.as_array().unwrap_or_else(|| panic!("{question}: {answer}"));
    // Read back as the answer was: the JSON reader rounds the last digit of some ratios.
    let expected: Vec<Value> = serde_json::from_str(&json!(expected).to_string()).unwrap();
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row, expected, "{:?}: {question}", gateway.database.backend);
    }
    assert_eq!(rows.len(), expected.len(), "{:?}: {question}", gateway.database.backend);
}

/// Members and tokens, most of them within hours of a change of some zone's clocks.
fn invent(random: &mut fastrand::Rng) -> Space {
    let changes: Vec<_> = ZONES
        .iter()
        .flat_map(|zone| {
            Zone::parse("zone", zone).unwrap().segments(Some(midnight("2011-06-01")), Some(midnight("2024-04-20")))
        })
        .map(|segment| segment.start)
        .filter(|start| *start > midnight("2011-06-01"))
        .collect();
    let instant = |random: &mut fastrand::Rng| {
        let near = changes[random.usize(..changes.len())];
        let micros = if random.bool() {
            random.i64(-3_600_000_000..3_600_000_000)
        } else {
            random.i64(-172_800_000_000..172_800_000_000)
        };
        let instant = near + TimeDelta::microseconds(micros);
        // Whole seconds, and instants exactly on the change, occur too.
        match random.u8(..4) {
            0 => near,
            1 => instant - TimeDelta::nanoseconds(i64::from(instant.and_utc().timestamp_subsec_nanos())),
            _ => instant,
        }
    };
    let members = (1..=50).map(|id| Member { id, joined_at: instant(random), is_active: random.u8(..5) > 0 }).collect();
    let tokens = (0..1_500)
        .map(|_| {
            let created_at = instant(random);
            let used_at =
                random.bool().then(|| created_at + TimeDelta::microseconds(random.i64(-900_000_000..50_000_000_000)));
            Token { user_id: random.i32(1..=40), created_at, used_at }
        })
        .collect();
    Space { members, tokens }
}

fn midnight(date: &str) -> chrono::NaiveDateTime {
    date.parse::<NaiveDate>().unwrap().and_hms_opt(0, 0, 0).unwrap()
}

async fn filled(backend: Backend, space: &Space) -> TestGateway {
    let database = TestDatabase::empty(backend).await;
    database.execute(&space.insert()).await;
    TestGateway::on(database, &[]).await
}

fn daily_question(random: &mut fastrand::Rng) -> Value {
    let (from, to) = range(random, 400);
    // Filling needs an end that is near: the rows span thirteen years.
    let gaps = if from.is_null() || to.is_null() { "OMIT" } else { ["OMIT", "ZERO", "NULL"][random.usize(..3)] };
    let weekdays = if random.u8(..4) == 0 { json!(["MONDAY", "SUNDAY"]) } else { Value::Null };
    let mut filter = users(random);
    filter["from"] = from;
    filter["to"] = to;
    filter["weekdays"] = weekdays;
    json!({ "filter": filter, "zone": zone(random), "basis": basis(random), "gaps": gaps })
}

fn members_question(random: &mut fastrand::Rng) -> Value {
    let (from, to) = range(random, 2_000);
    let mut filter = users(random);
    filter["from"] = from;
    filter["to"] = to;
    filter["timeZone"] = zone(random);
    filter["basis"] = basis(random);
    filter["includeUsersWithoutVisits"] = json!(random.bool());
    if random.u8(..4) == 0 {
        filter["minVisits"] = json!(random.u8(..3));
    }
    if random.u8(..4) == 0 {
        filter["maxVisits"] = json!(3 + random.u8(..9));
    }
    if random.u8(..4) == 0 {
        filter["lastVisitBefore"] = date(random);
    }
    let fields = ["USER_ID", "VISITS", "TOKENS_ISSUED", "JOINED_AT", "FIRST_VISIT_AT", "LAST_VISIT_AT"];
    let direction = if random.bool() { "ASC" } else { "DESC" };
    let order = json!({ "field": fields[random.usize(..fields.len())], "direction": direction });
    json!({ "filter": filter, "order": order, "size": 7 + random.u8(..30), "backward": random.bool() })
}

fn users(random: &mut fastrand::Rng) -> Value {
    let mut filter = json!({});
    match random.u8(..6) {
        0 => filter["userIds"] = json!((0..12).map(|_| random.i32(1..60)).collect::<Vec<_>>()),
        1 => filter["isActive"] = json!(random.bool()),
        2 => filter["joinedFrom"] = date(random),
        3 => filter["joinedTo"] = date(random),
        _ => {}
    }
    filter
}

fn range(random: &mut fastrand::Rng, days: i64) -> (Value, Value) {
    let from: NaiveDate = date(random).as_str().unwrap().parse().unwrap();
    let to = from + TimeDelta::days(random.i64(0..days));
    let open = random.u8(..6);
    let unless = |hidden: bool, date: NaiveDate| if hidden { Value::Null } else { json!(date) };
    (unless(open < 2, from), unless(open == 1 || open == 2, to))
}

/// Most dates are days on which some clock changes.
fn date(random: &mut fastrand::Rng) -> Value {
    let zone: Tz = ZONES[random.usize(..ZONES.len())].parse().unwrap();
    let segments =
        Zone::parse("zone", zone.name()).unwrap().segments(Some(midnight("2011-06-01")), Some(midnight("2024-04-20")));
    let change = segments[random.usize(..segments.len())].start.max(midnight("2011-12-30"));
    json!(change.date() + TimeDelta::days(random.i64(-1..=1)))
}

fn zone(random: &mut fastrand::Rng) -> Value {
    json!(ZONES[random.usize(..ZONES.len())])
}

fn basis(random: &mut fastrand::Rng) -> Value {
    json!(["ISSUED_AT", "USED_AT"][random.usize(..2)])
}
