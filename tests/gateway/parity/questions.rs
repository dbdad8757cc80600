//! Random questions to all reports. Both databases must give the answers of the model, row by row.

use chrono::{Datelike as _, Days, Months, NaiveDate};
use serde_json::{Value, json};

use super::{
    agree_page_by_page, basis, date,
    model::{Space, merged},
    named, next_moment, range, read_back, seeds, users, world, zone,
};
use crate::support::{now, on_postgres};

on_postgres!(
    usage_agrees,
    answers_that_were_wrong_once_are_right,
    days_with_running_sums_agree,
    heatmap_agrees,
    active_users_agree,
    retention_agrees,
    members_agree,
    token_funnel_agrees,
    frequency_agrees,
    forecast_agrees,
    segments_agree,
    membership_agrees,
);

/// The number of questions in each space.
const QUESTIONS: usize = 15;
/// The number of questions in each space in which an answer was once wrong.
const QUESTIONS_AGAIN: usize = 30;
const WEEKDAYS: [&str; 7] = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
/// The shortest ranges come first, because only these are used with hours.
const RANGES: [&str; 15] = [
    "TODAY",
    "YESTERDAY",
    "LAST_7_DAYS",
    "THIS_WEEK",
    "LAST_WEEK",
    "THIS_MONTH",
    "THIS_QUARTER",
    "LAST_30_DAYS",
    "LAST_MONTH",
    "LAST_90_DAYS",
    "LAST_365_DAYS",
    "LAST_QUARTER",
    "THIS_YEAR",
    "LAST_YEAR",
    "ALL",
];
/// The longest range in days that is used with hours or days; longer ranges can also be open.
const SHORT: i64 = 400;

const USAGE: &str = "query Q($granularity: Granularity!, $filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!, $gaps: GapFill!, $weekStart: Weekday, $buckets: Int!, $measure: AdditiveMeasure!, $compared: Boolean!, $extent: ComparedExtent!) {
    usage(granularity: $granularity, filter: $filter, timeZone: $zone, basis: $basis, gaps: $gaps, weekStart: $weekStart) {
        from to totals { ...Totals } busiest { start visits isPartial uniqueVisitors rollingAverage }
        buckets { start startMillis end label isPartial visits tokensIssued tokensUnused conversionRate uniqueVisitors newVisitors returningVisitors visitsPerVisitor
            rollingAverage rolling: rollingAverage(buckets: $buckets, measure: $measure)
            cumulative running: cumulative(measure: $measure) }
        before: previous(extent: $extent) @include(if: $compared) { ...Comparison }
        sameWeekdays: previous(compareTo: PREVIOUS_WEEKS, extent: $extent) @include(if: $compared) { ...Comparison }
        lastYear: previous(compareTo: PREVIOUS_YEAR, extent: $extent) @include(if: $compared) { ...Comparison } } }
fragment Totals on UsageTotals { visits tokensIssued tokensUnused conversionRate uniqueVisitors newVisitors returningVisitors visitsPerVisitor }
fragment Change on UsageChange { visits tokensIssued tokensUnused conversionRate uniqueVisitors newVisitors returningVisitors visitsPerVisitor }
fragment Ratio on UsageChangeRatio { visits tokensIssued tokensUnused conversionRate uniqueVisitors newVisitors returningVisitors visitsPerVisitor }
fragment Comparison on UsageComparison {
    current { from to upTo totals { ...Totals } }
    from to upTo totals { ...Totals } change { ...Change } changeRatio { ...Ratio }
    buckets { bucketStart bucketLabel isPartial start startMillis end label visits tokensIssued tokensUnused conversionRate uniqueVisitors newVisitors returningVisitors visitsPerVisitor
        change { ...Change } changeRatio { ...Ratio } } }";
const DAILY: &str = "query Q($filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!, $gaps: GapFill!, $buckets: Int!, $measure: AdditiveMeasure!) {
    dailyUsage(filter: $filter, timeZone: $zone, basis: $basis, gaps: $gaps) {
        date startsAt startsAtMillis isPartial visits tokensIssued tokensUnused conversionRate uniqueVisitors
        rollingAverage rolling: rollingAverage(days: $buckets, measure: $measure)
        cumulative running: cumulative(measure: $measure) } }";
const HEATMAP: &str = "query Q($filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!, $first: Int!, $months: Boolean!) {
    heatmap(filter: $filter, timeZone: $zone, basis: $basis) {
        from to recordedFrom visits cells { ...Cell } peakHours(first: $first) { ...Cell }
        weekdays { ...Day } hours { ...Hour }
        months @include(if: $months) { label from to visits peakHours(first: $first) { ...Cell } weekdays { ...Day } hours { ...Hour } } } }
fragment Cell on HeatmapCell { weekday hour visits share occurrences average tokensIssued tokensUnused conversionRate averageTimeToUse }
fragment Day on HeatmapWeekday { weekday visits share average tokensIssued tokensUnused conversionRate averageTimeToUse }
fragment Hour on HeatmapHour { hour visits share average tokensIssued tokensUnused conversionRate averageTimeToUse }";
const ACTIVE_USERS: &str = "query Q($filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!) {
    activeUsers(filter: $filter, timeZone: $zone, basis: $basis) {
        date startsAt startsAtMillis daily weekly monthly stickiness isPartial } }";
const RETENTION: &str = "query Q($cohort: CohortPeriod!, $periods: Int!, $anchor: CohortAnchor!, $filter: RetentionFilterInput, $zone: TimeZone!, $basis: TimeBasis!, $weekStart: Weekday) {
    retention(cohort: $cohort, periods: $periods, anchor: $anchor, filter: $filter, timeZone: $zone, basis: $basis, weekStart: $weekStart) {
        start label members periods { index start active rate isPartial } } }";
const MEMBERS: &str = "query Q($segment: MemberSegment, $newWithinDays: Int!, $activeWithinDays: Int!, $lapsedAfterDays: Int!, $filter: MembersFilterInput, $zone: TimeZone!, $order: UserVisitsOrderInput, $first: Int, $after: String, $last: Int, $before: String) {
    members(segment: $segment, newWithinDays: $newWithinDays, activeWithinDays: $activeWithinDays, lapsedAfterDays: $lapsedAfterDays, filter: $filter, timeZone: $zone, orderBy: $order, first: $first, after: $after, last: $last, before: $before) {
        totalCount
        nodes { userId segment daysSinceLastVisit visits tokensIssued firstVisitAt lastVisitAt joinedAt isActive
            user { id firstName lastName joinedAt isActive } }
        edges { cursor node { userId } }
        pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }";
const TOKEN_FUNNEL: &str = "query Q($filter: DailyUsageFilterInput, $zone: TimeZone!) {
    tokenFunnel(filter: $filter, timeZone: $zone) {
        issued used unused conversionRate usedBeforeIssued timeToUse { count median p90 p99 } } }";

const SEGMENTS: &str = "query Q($newWithinDays: Int!, $activeWithinDays: Int!, $lapsedAfterDays: Int!, $filter: MembersFilterInput, $zone: TimeZone!) {
    segments(newWithinDays: $newWithinDays, activeWithinDays: $activeWithinDays, lapsedAfterDays: $lapsedAfterDays, filter: $filter, timeZone: $zone) {
        segment members activeMembers } }";
const MEMBERSHIP: &str = "query Q($granularity: Granularity!, $filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!, $weekStart: Weekday, $stoppedAfterDays: Int!) {
    membership(granularity: $granularity, filter: $filter, timeZone: $zone, basis: $basis, weekStart: $weekStart, stoppedAfterDays: $stoppedAfterDays) {
        start startMillis end label joined active firstVisits returning stopped isPartial } }";
const FORECAST: &str = "query Q($days: Int!, $filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!) {
    forecast(days: $days, filter: $filter, timeZone: $zone, basis: $basis) {
        learnedFrom learnedTo days { date startsAt expected lower upper }
        backtest { days meanAbsoluteError seasonalNaiveError } } }";
const FREQUENCY: &str = "query Q($filter: DailyUsageFilterInput, $zone: TimeZone!, $basis: TimeBasis!) {
    frequency(filter: $filter, timeZone: $zone, basis: $basis) { visits members membersAtLeast } }";

async fn usage_agrees() {
    agree(1, USAGE, "usage", usage_question, Space::usage).await;
}

/// Asks again in the spaces in which an answer was once wrong.
async fn answers_that_were_wrong_once_are_right() {
    for seed in [1_000_001, 2_000_001, 8_000_001] {
        agree_on(seed, QUESTIONS_AGAIN, USAGE, "usage", usage_question, Space::usage).await;
    }
    agree_on(1_000_003, QUESTIONS_AGAIN, HEATMAP, "heatmap", heatmap_question, |space, question| {
        Ok(space.heatmap(question))
    })
    .await;
    agree_on(2_000_005, QUESTIONS_AGAIN, RETENTION, "retention", retention_question, Space::retention).await;
}

async fn days_with_running_sums_agree() {
    agree(2, DAILY, "dailyUsage", daily_question, |space, question| Ok(json!(space.daily_series(question)))).await;
}

async fn heatmap_agrees() {
    agree(3, HEATMAP, "heatmap", heatmap_question, |space, question| Ok(space.heatmap(question))).await;
}

async fn active_users_agree() {
    agree(4, ACTIVE_USERS, "activeUsers", active_users_question, Space::active_users).await;
}

async fn retention_agrees() {
    agree(5, RETENTION, "retention", retention_question, Space::retention).await;
}

async fn members_agree() {
    for seed in seeds(6) {
        let (mut random, space, gateways) = world(seed).await;
        let began = now();
        for _ in 0..QUESTIONS {
            next_moment(&mut random, &gateways, began);
            let question = members_question(&mut random);
            let expected = read_back(&space.members(&question));
            for gateway in &gateways {
                agree_page_by_page(gateway, MEMBERS, "members", &question, &expected, |_, _| {}).await;
            }
        }
    }
}

async fn token_funnel_agrees() {
    agree(7, TOKEN_FUNNEL, "tokenFunnel", funnel_question, |space, question| Ok(space.token_funnel(question))).await;
}

async fn forecast_agrees() {
    agree(11, FORECAST, "forecast", forecast_question, |space, question| Ok(space.forecast(question))).await;
}

async fn frequency_agrees() {
    agree(8, FREQUENCY, "frequency", frequency_question, |space, question| Ok(space.frequency(question))).await;
}

async fn membership_agrees() {
    agree(10, MEMBERSHIP, "membership", membership_question, Space::membership).await;
}

async fn segments_agree() {
    agree(9, SEGMENTS, "segments", segments_question, |space, question| Ok(space.segments(question))).await;
}

/// Compares the databases and the rollup with the model, which gives an answer or names the invalid argument.
async fn agree(
    seed: u64,
    document: &str,
    field: &str,
    ask: impl Fn(&mut fastrand::Rng) -> Value,
    model: impl Fn(&Space, &Value) -> Result<Value, &'static str>,
) {
    for seed in seeds(seed) {
        agree_on(seed, QUESTIONS, document, field, &ask, &model).await;
    }
}

async fn agree_on(
    seed: u64,
    questions: usize,
    document: &str,
    field: &str,
    ask: impl Fn(&mut fastrand::Rng) -> Value,
    model: impl Fn(&Space, &Value) -> Result<Value, &'static str>,
) {
    let (mut random, space, gateways) = world(seed).await;
    let began = now();
    for _ in 0..questions {
        next_moment(&mut random, &gateways, began);
        let question = ask(&mut random);
        let expected = model(&space, &question).map(|expected| read_back(&expected));
        for gateway in &gateways {
            let answer = gateway.post(document, question.clone()).await.json();
            let errors = &answer["errors"];
            let context = format!("seed {seed}, {}, {:?}: {question} {errors}", now(), gateway.database.backend);
            match &expected {
                Ok(expected) => alike(&answer["data"][field], expected, field, &context),
                Err(argument) => {
                    let extensions = &errors[0]["extensions"];
                    assert_eq!(extensions["code"], "BAD_USER_INPUT", "{argument}: {context}");
                    assert_eq!(extensions["argument"], *argument, "{context}");
                }
            }
        }
    }
}

/// Compares two answers; a failure shows the first value that differs, and its path.
fn alike(answer: &Value, expected: &Value, path: &str, context: &str) {
    if answer == expected {
        return;
    }
    match (answer, expected) {
        (Value::Array(rows), Value::Array(expected)) => {
            for (index, (row, expected)) in rows.iter().zip(expected).enumerate() {
                alike(row, expected, &format!("{path}[{index}]"), context);
            }
            assert_eq!(rows.len(), expected.len(), "rows of {path}: {context}");
        }
        (Value::Object(fields), Value::Object(expected)) => {
            for (name, expected) in expected {
                alike(fields.get(name).unwrap_or(&Value::Null), expected, &format!("{path}.{name}"), context);
            }
            assert_eq!(fields.len(), expected.len(), "fields of {path}: {context}");
        }
        _ => assert_eq!(answer, expected, "{path}: {context}"),
    }
}

fn usage_question(random: &mut fastrand::Rng) -> Value {
    let granularity = one(random, &["HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"]);
    let days = match granularity {
        "HOUR" => 20,
        "DAY" => SHORT,
        "WEEK" => 2_000,
        _ => 4_800,
    };
    let filter = filter(random, days);
    let (from, to) = (&filter["from"], &filter["to"]);
    let begun = !filter["range"].is_null() || !from.is_null();
    let yesterday = (now().date_naive() - Days::new(1)).to_string();
    // Comparisons of ranges that begin after today are not tested.
    let later = to.is_null() && (from.is_number() || from.as_str().is_some_and(|from| *from > *yesterday));
    let compared = !later && if begun { random.u8(..4) > 0 } else { random.u8(..4) == 0 };
    let week_start = week_start(random, granularity, &filter);
    json!({
        "granularity": granularity, "filter": filter, "zone": zone(random), "basis": basis(random),
        "gaps": gaps(random), "weekStart": week_start, "buckets": buckets(random), "measure": measure(random),
        "compared": compared, "extent": one(random, &["ELAPSED", "ELAPSED", "COMPLETE_DAYS", "WHOLE"]),
    })
}

fn daily_question(random: &mut fastrand::Rng) -> Value {
    json!({
        "filter": filter(random, SHORT), "zone": zone(random), "basis": basis(random), "gaps": gaps(random),
        "buckets": buckets(random), "measure": measure(random),
    })
}

fn heatmap_question(random: &mut fastrand::Rng) -> Value {
    json!({
        "filter": filter(random, 4_800), "zone": zone(random), "basis": basis(random), "first": random.u8(1..=168),
        "months": random.u8(..3) == 0,
    })
}

fn active_users_question(random: &mut fastrand::Rng) -> Value {
    let mut filter = match random.u8(..12) {
        // Often longer than the report allows.
        0 => filter(random, 4_800),
        _ => filter(random, SHORT),
    };
    if filter["range"].is_null() && random.u8(..5) == 0 {
        let early = NaiveDate::from_ymd_opt(2013, 6, 1).unwrap();
        filter["from"] = Value::Null;
        filter["to"] = json!(date(random).min(early));
    }
    json!({ "filter": filter, "zone": zone(random), "basis": basis(random) })
}

fn retention_question(random: &mut fastrand::Rng) -> Value {
    let cohort = one(random, &["WEEK", "MONTH"]);
    let mut filter = filter(random, if cohort == "WEEK" { 1_000 } else { 4_000 });
    for name in ["joinedFrom", "joinedTo", "weekdays"] {
        filter.as_object_mut().unwrap().remove(name);
    }
    let week_start = week_start(random, cohort, &filter);
    let periods = [1, 2, 5, 12, 24, 104][random.usize(..6)];
    json!({
        "cohort": cohort, "periods": periods,
        "anchor": one(random, &["JOINED_AT", "FIRST_VISIT"]), "filter": filter, "zone": zone(random),
        "basis": basis(random), "weekStart": week_start,
    })
}

fn members_question(random: &mut fastrand::Rng) -> Value {
    let segments = ["NEW", "ACTIVE", "LAPSING", "LAPSED", "NEVER_CAME"];
    let fields = ["USER_ID", "VISITS", "TOKENS_ISSUED", "JOINED_AT", "FIRST_VISIT_AT", "LAST_VISIT_AT"];
    let list = json!({
        "segment": (random.u8(..4) > 0).then(|| one(random, &segments)),
        "order": { "field": one(random, &fields), "direction": one(random, &["ASC", "DESC"]) },
        "size": 7 + random.u8(..30), "backward": random.bool(),
    });
    merged(list, segments_question(random))
}

fn segments_question(random: &mut fastrand::Rng) -> Value {
    let active = one(random, &[1, 3, 30, 90, 1_000]);
    json!({
        "newWithinDays": one(random, &[1, 30, 365, 1_500, 3_650]), "activeWithinDays": active,
        "lapsedAfterDays": active + one(random, &[0, 1, 60, 365, 2_000]),
        "filter": named(random), "zone": zone(random),
    })
}

fn membership_question(random: &mut fastrand::Rng) -> Value {
    let granularity = one(random, &["DAY", "WEEK", "MONTH", "MONTH", "QUARTER", "YEAR", "HOUR"]);
    let filter = filter(random, if granularity == "DAY" { SHORT } else { 2_000 });
    let week_start = week_start(random, granularity, &filter);
    json!({
        "granularity": granularity, "filter": filter, "zone": zone(random), "basis": basis(random),
        "weekStart": week_start, "stoppedAfterDays": one(random, &[1, 2, 7, 30, 90, 400]),
    })
}

fn funnel_question(random: &mut fastrand::Rng) -> Value {
    json!({ "filter": filter(random, 4_800), "zone": zone(random) })
}

fn forecast_question(random: &mut fastrand::Rng) -> Value {
    let mut question = frequency_question(random);
    question["days"] = json!(random.u8(1..=92));
    question
}

fn frequency_question(random: &mut fastrand::Rng) -> Value {
    json!({ "filter": filter(random, 4_800), "zone": zone(random), "basis": basis(random) })
}

/// A random filter: a relative range, or dates at most `days` apart.
fn filter(random: &mut fastrand::Rng, days: i64) -> Value {
    let mut filter = users(random);
    if random.u8(..4) == 0 {
        filter["weekdays"] = json!([one(random, &WEEKDAYS), "FRIDAY", "SUNDAY"][random.usize(..3)..]);
    }
    if random.u8(..3) == 0 {
        let shortest = if days < SHORT { 9 } else { RANGES.len() };
        filter["range"] = json!(one(random, &RANGES[..shortest]));
        return filter;
    }
    let (mut from, mut to) = range(random, days);
    if days <= SHORT && (from.is_null() || to.is_null()) {
        let today = now().date_naive();
        (from, to) = (json!(today - Days::new(random.u64(..days.unsigned_abs()))), Value::Null);
    } else if let (Some(first), Some(last), 0) = (from.as_str(), to.as_str(), random.u8(..4)) {
        // Whole months.
        let [first, last] = [first, last].map(|date| date.parse::<NaiveDate>().unwrap().with_day(1).unwrap());
        (from, to) = (json!(first), json!(last + Months::new(1) - Days::new(1)));
    }
    filter["from"] = from;
    filter["to"] = to;
    filter
}

/// A random `weekStart`; sometimes also where it is not allowed.
fn week_start(random: &mut fastrand::Rng, granularity: &str, filter: &Value) -> Value {
    let weekly = granularity == "WEEK" || matches!(filter["range"].as_str(), Some("THIS_WEEK" | "LAST_WEEK"));
    let given = if weekly { random.bool() } else { random.u8(..15) == 0 };
    if given { json!(one(random, &WEEKDAYS)) } else { Value::Null }
}

fn gaps(random: &mut fastrand::Rng) -> &'static str {
    one(random, &["OMIT", "ZERO", "NULL"])
}

fn buckets(random: &mut fastrand::Rng) -> i32 {
    one(random, &[1, 2, 3, 7, 28, 366])
}

fn measure(random: &mut fastrand::Rng) -> &'static str {
    one(random, &["VISITS", "TOKENS_ISSUED", "TOKENS_UNUSED"])
}

fn one<T: Copy>(random: &mut fastrand::Rng, of: &[T]) -> T {
    of[random.usize(..of.len())]
}
