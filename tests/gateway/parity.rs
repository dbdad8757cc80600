//! Compares both databases, a rollup, and a model that reads rows one by one. All must give the same answers to random
//! questions, at random times, on random rows around the instants at which clocks change.

mod calendar;
mod model;
mod questions;
mod reports;
mod series;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use coworking_analytics::reports::{
    Argument,
    rollup::{self, Progress},
    time_zone::Zone,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use self::{
    model::{Member, Members, Moment, Space, Token},
    reports::others,
};
use crate::support::{Backend, PATIENCE, TestDatabase, TestGateway, now, on_postgres, rounds, set_now};

on_postgres!(databases_and_model_agree_on_days, databases_and_model_agree_on_members,);

/// Zones with all kinds of clock changes: by half an hour, at midnight and just after it, a skipped day, a pause of
/// daylight saving time in Ramadan, unusual offsets, and the southern summer.
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
const QUESTIONS: usize = 100;

const DAILY: &str = "query Q($filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!, $gaps: GapFill!) {
    dailyUsage(filter: $filter, timeZone: $zone, basis: $basis, gaps: $gaps) {
        date startsAt startsAtMillis visits tokensIssued tokensUnused uniqueVisitors conversionRate isPartial } }";
const MEMBERS: &str = "query Q($compared: Boolean!, $extent: ComparedExtent!, $filter: UserVisitsFilterInput, $order: UserVisitsOrderInput, $first: Int, $after: String, $last: Int, $before: String) {
    userVisits(filter: $filter, orderBy: $order, first: $first, after: $after, last: $last, before: $before) {
        totalCount
        totals { visits tokensIssued tokensUnused conversionRate }
        others { users visits tokensIssued tokensUnused share }
        nodes { userId visits tokensIssued tokensUnused rank share firstVisitAt lastVisitAt joinedAt isActive
            previous(extent: $extent) @include(if: $compared) { ...Before }
            lastYear: previous(extent: $extent, compareTo: PREVIOUS_YEAR) @include(if: $compared) { ...Before }
            user { id firstName lastName joinedAt isActive } }
        edges { cursor node { userId } }
        pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }
fragment Before on PreviousUserVisits { from to upTo visits tokensIssued tokensUnused rank
    change { visits tokensIssued tokensUnused rank } }";

async fn databases_and_model_agree_on_days() {
    for seed in seeds(0xdecaf) {
        let (mut random, space, gateways) = world(seed).await;
        let began = now();
        for _ in 0..QUESTIONS {
            next_moment(&mut random, &gateways, began);
            let question = daily_question(&mut random);
            let expected = read_back(&space.daily_usage(&question));
            for gateway in &gateways {
                let answer = gateway.post(DAILY, question.clone()).await.json();
                let rows = answer["data"]["dailyUsage"].as_array().unwrap_or_else(|| panic!("{question}: {answer}"));
                same(rows, &expected, gateway, &question);
            }
        }
    }
}

async fn databases_and_model_agree_on_members() {
    for seed in seeds(0xcafe) {
        let (mut random, space, gateways) = world(seed).await;
        let began = now();
        for _ in 0..QUESTIONS {
            next_moment(&mut random, &gateways, began);
            let question = members_question(&mut random);
            let Members { rows, totals } = space.user_visits(&question);
            let expected = Members { rows: read_back(&rows), totals: read_back(&totals) };
            for gateway in &gateways {
                agree_on_members(gateway, &question, &expected).await;
            }
        }
    }
}

/// The seeds of the spaces: one, or as many as `ROUNDS` says.
fn seeds(first: u64) -> impl Iterator<Item = u64> {
    (0..rounds(1) as u64).map(move |round| first + 1_000_000 * round)
}

/// A random space on both databases, without and with a rollup. The same seed gives the same space and questions; a
/// failure prints the question.
async fn world(seed: u64) -> (fastrand::Rng, Space, [TestGateway; 4]) {
    let mut random = fastrand::Rng::with_seed(seed);
    set_now(moment(&mut random));
    let space = invent(&mut random);
    let gateways = [
        filled(Backend::Sqlite, &space).await,
        rolled_up(Backend::Sqlite, &space).await,
        filled(Backend::Postgres, &space).await,
        rolled_up(Backend::Postgres, &space).await,
    ];
    (random, space, gateways)
}

async fn rolled_up(backend: Backend, space: &Space) -> TestGateway {
    let rolled = filled(backend, space).await;
    rollup::create(&rolled.database.owner, PATIENCE).await.unwrap();
    while rollup::refresh(&rolled.database.owner).await.unwrap() != Progress::Done {}
    // Makes part of the rollup out of date: in SQLite a few days, as with more it is not read.
    let touch = match backend {
        Backend::Postgres => "UPDATE tokens SET used_at = used_at WHERE user_id % 7 = 0",
        Backend::Sqlite => {
            "UPDATE tokens SET user_id = 51 - user_id WHERE id % 500 = 7; \
             UPDATE tokens SET user_id = 51 - user_id WHERE id % 500 = 7"
        }
    };
    rolled.database.execute(touch).await;
    rolled.reports.look_for_rollup().await.unwrap();
    assert!(rolled.reports.reads_rollup());
    rolled
}

async fn agree_on_members(gateway: &TestGateway, question: &Value, expected: &Members) {
    agree_page_by_page(gateway, MEMBERS, "userVisits", question, &expected.rows, |list, page| {
        assert_eq!(list["totals"], expected.totals, "{question}");
        assert_eq!(list["others"], read_back(&others(expected, page)), "{question}");
    })
    .await;
}

/// Reads a list in small pages, forwards or backwards, and compares all rows.
async fn agree_page_by_page(
    gateway: &TestGateway,
    document: &str,
    field: &str,
    question: &Value,
    expected: &[Value],
    check: impl Fn(&Value, &[Value]),
) {
    let backend = gateway.database.backend;
    let backward = question["backward"] == json!(true);
    let mut nodes: Vec<Value> = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let mut variables = question.clone();
        let asked = variables.as_object_mut().unwrap();
        let (first_or_last, after_or_before) = if backward { ("last", "before") } else { ("first", "after") };
        asked.remove("backward");
        let size = asked.remove("size").unwrap();
        asked.insert(first_or_last.to_owned(), size);
        asked.insert(after_or_before.to_owned(), cursor);
        let answer = gateway.post(document, variables).await.json();
        let list = &answer["data"][field];
        assert_eq!(list["totalCount"], json!(expected.len()), "{backend:?}: {question} {answer:#}");
        let page = list["nodes"].as_array().unwrap();
        check(list, page);
        let info = &list["pageInfo"];
        let edges = list["edges"].as_array().unwrap();
        let ids = |rows: &[Value]| rows.iter().map(|row| row["userId"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&edges.iter().map(|edge| edge["node"].clone()).collect::<Vec<_>>()), ids(page), "{question}");
        let ends = [edges.first(), edges.last()].map(|edge| edge.map_or(Value::Null, |edge| edge["cursor"].clone()));
        assert_eq!(ends, [info["startCursor"].clone(), info["endCursor"].clone()], "{backend:?}: {question}");
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
        assert_eq!(info[more], json!(nodes.len() < expected.len()), "{backend:?}: {question}");
        if info[more] == json!(false) {
            break;
        }
    }
    same(&nodes, expected, gateway, question);
}

/// Compares rows; a failure shows the first row that differs.
fn same(rows: &[Value], expected: &[Value], gateway: &TestGateway, question: &Value) {
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!(row, expected, "{:?}: {question}", gateway.database.backend);
    }
    assert_eq!(rows.len(), expected.len(), "{:?}: {question}", gateway.database.backend);
}

/// Writes the value as JSON and parses it again, because parsing rounds the last digit of some ratios.
fn read_back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// A random time of the clock: any instant, or one within two days of a clock change or of the beginning of a month.
fn moment(random: &mut fastrand::Rng) -> DateTime<Utc> {
    let any = midnight("2012-06-01") + TimeDelta::microseconds(random.i64(0..14 * 365 * 86_400_000_000));
    let near = match random.u8(..4) {
        0 => any,
        1 | 2 => {
            let zone = Zone::parse(Argument::TIME_ZONE, ZONES[random.usize(..ZONES.len())]).unwrap();
            zone.segments(Some(midnight("2012-06-01")), Some(any)).last().unwrap().start.max(midnight("2012-06-01"))
        }
        _ => any.date().with_day(1).unwrap().and_time(any.time()),
    };
    near.and_utc() + TimeDelta::seconds(random.i64(-2 * 86_400..2 * 86_400))
}

/// Sets all clocks to a time within three days after `began`.
fn next_moment(random: &mut fastrand::Rng, gateways: &[TestGateway], began: DateTime<Utc>) {
    set_now(began + TimeDelta::seconds(random.i64(0..3 * 86_400)));
    for gateway in gateways {
        *gateway.now.lock().unwrap() = now();
    }
}

/// An instant after all rows.
fn horizon() -> NaiveDateTime {
    (now() + TimeDelta::days(6)).naive_utc()
}

/// Random members and door codes, most of them within hours of a clock change in one of the zones.
fn invent(random: &mut fastrand::Rng) -> Space {
    let to = horizon();
    let changes = |from: chrono::NaiveDateTime| {
        let zones = ZONES.iter().map(|zone| Zone::parse(Argument::TIME_ZONE, zone).unwrap());
        let starts = zones.flat_map(|zone| zone.segments(Some(from), Some(to))).map(|segment| segment.start);
        starts.filter(|start| *start > from).collect::<Vec<_>>()
    };
    // From before the last day in St. John's on which clocks went back across midnight. Relative ranges look at the
    // last year.
    let (ever, since_members, last_year) =
        (changes(midnight("2010-11-01")), changes(midnight("2011-06-01")), changes(to - TimeDelta::days(372)));
    let instant = |random: &mut fastrand::Rng, changes: &[chrono::NaiveDateTime]| {
        let near = changes[random.usize(..changes.len())];
        let micros = if random.bool() {
            random.i64(-3_600_000_000..3_600_000_000)
        } else {
            random.i64(-172_800_000_000..172_800_000_000)
        };
        let instant = near + TimeDelta::microseconds(micros);
        // Also whole seconds, and instants exactly on the change.
        match random.u8(..4) {
            0 => near,
            1 => instant - TimeDelta::nanoseconds(i64::from(instant.and_utc().timestamp_subsec_nanos())),
            _ => instant,
        }
    };
    let members = (1..=50)
        .map(|id| {
            let joined_at = instant(random, &since_members);
            let (first_name, last_name) = (letters(random, 0..6), letters(random, 0..6));
            Member { id, first_name, last_name, joined_at: told(random, joined_at), is_active: random.u8(..5) > 0 }
        })
        .collect();
    let tokens = (0..1_500)
        .map(|_| {
            let recent = random.u8(..5) == 0;
            let created_at = instant(random, if recent { &last_year } else { &ever });
            let used_at =
                random.bool().then(|| created_at + TimeDelta::microseconds(random.i64(-900_000_000..50_000_000_000)));
            // Some members have no recent visits.
            let user_id = if recent { random.i32(10..=40) } else { random.i32(1..=40) };
            let used_at = used_at.map(|used_at| told(random, used_at));
            Token { user_id, created_at: told(random, created_at), used_at }
        })
        .collect();
    Space { members, tokens }
}

/// The instant in most cases; sometimes none, for a value that cannot be read.
fn told(random: &mut fastrand::Rng, moment: NaiveDateTime) -> Moment {
    (random.u8(..60) > 0).then_some(moment)
}

fn midnight(date: &str) -> chrono::NaiveDateTime {
    date.parse::<NaiveDate>().unwrap().and_hms_opt(0, 0, 0).unwrap()
}

async fn filled(backend: Backend, space: &Space) -> TestGateway {
    let database = TestDatabase::empty(backend).await;
    database.execute(&space.insert(backend)).await;
    TestGateway::on(database, &[]).await
}

fn daily_question(random: &mut fastrand::Rng) -> Value {
    let (from, to) = range(random, 400);
    // Filling gaps needs a range with both ends, because the rows span thirteen years.
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
    let mut filter = named(random);
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
        filter["lastVisitBefore"] = json!(date(random));
    }
    let fields = ["USER_ID", "VISITS", "TOKENS_ISSUED", "JOINED_AT", "FIRST_VISIT_AT", "LAST_VISIT_AT"];
    let direction = if random.bool() { "ASC" } else { "DESC" };
    let order = json!({ "field": fields[random.usize(..fields.len())], "direction": direction });
    let compared = random.bool() && !filter["from"].is_null();
    let extent = ["ELAPSED", "COMPLETE_DAYS", "WHOLE"][random.usize(..3)];
    json!({
        "filter": filter, "order": order, "size": 7 + random.u8(..30), "backward": random.bool(),
        "compared": compared, "extent": extent,
    })
}

fn users(random: &mut fastrand::Rng) -> Value {
    let mut filter = json!({});
    match random.u8(..9) {
        0 => filter["userIds"] = json!((0..12).map(|_| random.i32(1..60)).collect::<Vec<_>>()),
        1 => filter["isActive"] = json!(random.bool()),
        2 => {
            let date = date(random);
            filter["joinedFrom"] = written(random, date);
        }
        3 => {
            let date = date(random);
            filter["joinedTo"] = written(random, date);
        }
        // No member, or a few.
        4 => filter["userIds"] = json!((0..random.i32(0..3)).map(|_| random.i32(1..60)).collect::<Vec<_>>()),
        _ => {}
    }
    filter
}

/// The same, sometimes with a part of a name.
fn named(random: &mut fastrand::Rng) -> Value {
    let mut filter = users(random);
    if random.u8(..3) == 0 {
        filter["nameContains"] = json!(letters(random, 1..4));
    }
    filter
}

/// Some characters that are the same in another case, that databases do not agree on, or that mean something in patterns.
fn letters(random: &mut fastrand::Rng, length: std::ops::Range<usize>) -> String {
    const LETTERS: &str = "aAkK\u{212a}sSſßẞüÜéÉe\u{301}iIıİσςΣǆǅǄ%_\\[]*?^-.'\"$() 李🦀";
    let letters: Vec<char> = LETTERS.chars().collect();
    (0..random.usize(length)).map(|_| letters[random.usize(..letters.len())]).collect()
}

fn range(random: &mut fastrand::Rng, days: i64) -> (Value, Value) {
    let from = date(random);
    let to = from + TimeDelta::days(random.i64(0..days));
    let open = random.u8(..6);
    // The local date of milliseconds can differ from the UTC date, and must not be after the end of the range.
    let beginning = if to - from > TimeDelta::days(1) { written(random, from) } else { json!(from) };
    let unless = |hidden: bool, date: Value| if hidden { Value::Null } else { date };
    (unless(open < 2, beginning), unless(open == 1 || open == 2, json!(to)))
}

/// Dates on which the clocks of some zone change, or the days next to them.
fn date(random: &mut fastrand::Rng) -> NaiveDate {
    let zone = Zone::parse(Argument::TIME_ZONE, ZONES[random.usize(..ZONES.len())]).unwrap();
    let segments = zone.segments(Some(midnight("2010-11-01")), Some(horizon()));
    let change = segments[random.usize(..segments.len())].start.max(midnight("2010-11-07"));
    change.date() + TimeDelta::days(random.i64(-1..=1))
}

/// The date, or sometimes milliseconds of an instant on it (UTC).
fn written(random: &mut fastrand::Rng, date: NaiveDate) -> Value {
    if random.u8(..8) > 0 {
        return json!(date);
    }
    let moment = date.and_hms_opt(random.u32(..24), random.u32(..60), 0).unwrap();
    json!(moment.and_utc().timestamp_millis())
}

fn zone(random: &mut fastrand::Rng) -> Value {
    json!(ZONES[random.usize(..ZONES.len())])
}

fn basis(random: &mut fastrand::Rng) -> Value {
    json!(["ISSUED_AT", "USED_AT"][random.usize(..2)])
}
