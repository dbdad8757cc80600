//! The reports as anyone would write them first: every row looked at, one by one, and every question
//! of the calendar asked of the zone itself. Slow, and easy to believe.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    sync::{LazyLock, Mutex},
};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::support::now;

pub struct Member {
    pub id: i32,
    pub joined_at: NaiveDateTime,
    pub is_active: bool,
}

pub struct Token {
    pub user_id: i32,
    pub created_at: NaiveDateTime,
    pub used_at: Option<NaiveDateTime>,
}

pub struct Space {
    pub members: Vec<Member>,
    pub tokens: Vec<Token>,
}

/// A whole list of `userVisits`.
pub struct Members {
    pub rows: Vec<Value>,
    pub totals: Value,
}

#[derive(Default)]
struct Day {
    visits: i64,
    issued: i64,
    unused: i64,
    visitors: BTreeSet<i32>,
}

impl Space {
    /// The rows as SQL that both databases read.
    pub fn insert(&self) -> String {
        let time = |time: NaiveDateTime| time.format("'%Y-%m-%d %H:%M:%S%.f'").to_string();
        let mut sql = String::new();
        for Member { id, joined_at, is_active } in &self.members {
            let joined_at = time(*joined_at);
            writeln!(sql, "INSERT INTO users VALUES ({id}, 'First', 'Last', {joined_at}, {is_active});").unwrap();
        }
        for Token { user_id, created_at, used_at } in &self.tokens {
            let (created_at, used_at) = (time(*created_at), used_at.map_or("NULL".to_owned(), time));
            writeln!(
                sql,
                "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES ({user_id}, 'sample', {created_at}, {used_at});"
            )
            .unwrap();
        }
        sql
    }

    pub fn daily_usage(&self, question: &Value) -> Vec<Value> {
        let filter = &question["filter"];
        let zone: Tz = question["zone"].as_str().unwrap().parse().unwrap();
        let by_use = question["basis"] == "USED_AT";
        let within = |day: NaiveDate| in_range(day, filter, "from", "to") && on_weekday(day, filter);
        let mut days = BTreeMap::<NaiveDate, Day>::new();
        for token in self.tokens.iter().filter(|token| self.matches(token.user_id, filter, zone)) {
            let issued_on = local_date(zone, token.created_at);
            if within(issued_on) {
                let day = days.entry(issued_on).or_default();
                day.issued += 1;
                day.unused += i64::from(token.used_at.is_none());
            }
            let Some(used_at) = token.used_at else { continue };
            let visited_on = if by_use { local_date(zone, used_at) } else { issued_on };
            if within(visited_on) {
                let day = days.entry(visited_on).or_default();
                day.visits += 1;
                day.visitors.insert(token.user_id);
            }
        }
        if question["gaps"] == "OMIT" {
            return days.iter().map(|(date, day)| daily_row(zone, *date, Some(day))).collect();
        }
        let (from, to) = (parse(&filter["from"]).unwrap(), parse(&filter["to"]).unwrap());
        let nothing = Day::default();
        let gap = (question["gaps"] == "ZERO").then_some(&nothing);
        from.iter_days()
            .take_while(|date| *date <= to)
            // A day that a zone skipped has no instant.
            .filter(|date| on_weekday(*date, filter) && day_exists(zone, *date))
            .map(|date| daily_row(zone, date, days.get(&date).or(gap)))
            .collect()
    }

    pub fn user_visits(&self, question: &Value) -> Members {
        let filter = &question["filter"];
        let zone: Tz = filter["timeZone"].as_str().unwrap().parse().unwrap();
        let by_use = filter["basis"] == "USED_AT";
        let everyone = filter["includeUsersWithoutVisits"] == true;
        let within = |instant: NaiveDateTime| in_range(local_date(zone, instant), filter, "from", "to");
        let mut rows = Vec::new();
        for member in self.members.iter().filter(|member| self.matches(member.id, filter, zone)) {
            let own: Vec<_> = self.tokens.iter().filter(|token| token.user_id == member.id).collect();
            let issued: Vec<_> = own.iter().filter(|token| within(token.created_at)).collect();
            let visits: Vec<_> = own
                .iter()
                .filter_map(|token| {
                    token.used_at.filter(|used_at| within(if by_use { *used_at } else { token.created_at }))
                })
                .collect();
            let unused = issued.iter().filter(|token| token.used_at.is_none()).count();
            let (first, last) = (visits.iter().min().copied(), visits.iter().max().copied());
            let listed = everyone || !issued.is_empty() || !visits.is_empty();
            let count = i64::try_from(visits.len()).unwrap();
            let enough = filter["minVisits"].as_i64().is_none_or(|min| count >= min);
            let few = filter["maxVisits"].as_i64().is_none_or(|max| count <= max);
            let gone = parse(&filter["lastVisitBefore"])
                .is_none_or(|date| last.is_some_and(|last| last.and_utc() < first_instant(zone, date)));
            if listed && enough && few && gone {
                rows.push((member, count, issued.len(), unused, first, last));
            }
        }
        let ascending = question["order"]["direction"] == "ASC";
        let micros = |time: Option<NaiveDateTime>| time.map(|time| time.and_utc().timestamp_micros());
        rows.sort_by(|left, right| {
            let key =
                |row: &(&Member, i64, usize, usize, Option<NaiveDateTime>, Option<NaiveDateTime>)| {
                    match question["order"]["field"].as_str().unwrap() {
                        "USER_ID" => Some(i64::from(row.0.id)),
                        "VISITS" => Some(row.1),
                        "TOKENS_ISSUED" => i64::try_from(row.2).ok(),
                        "JOINED_AT" => micros(Some(row.0.joined_at)),
                        "FIRST_VISIT_AT" => micros(row.4),
                        "LAST_VISIT_AT" => micros(row.5),
                        other => panic!("{other}"),
                    }
                };
            let order = match (key(left), key(right)) {
                (Some(left), Some(right)) if ascending => left.cmp(&right),
                (Some(left), Some(right)) => right.cmp(&left),
                (None, None) => Ordering::Equal,
                (None, _) => Ordering::Greater,
                (_, None) => Ordering::Less,
            };
            order.then(left.0.id.cmp(&right.0.id))
        });
        let sum = |part: fn(&(&Member, i64, usize, usize, Option<NaiveDateTime>, Option<NaiveDateTime>)) -> i64| {
            rows.iter().map(part).sum::<i64>()
        };
        let totals = json!({
            "visits": sum(|row| row.1),
            "tokensIssued": sum(|row| i64::try_from(row.2).unwrap()),
            "tokensUnused": sum(|row| i64::try_from(row.3).unwrap()),
        });
        let rows = rows
            .iter()
            .map(|(member, visits, issued, unused, first, last)| {
                json!({
                    "userId": member.id, "visits": visits, "tokensIssued": issued, "tokensUnused": unused,
                    "firstVisitAt": first.map(rfc3339), "lastVisitAt": last.map(rfc3339),
                    "joinedAt": rfc3339(member.joined_at), "isActive": member.is_active, "user": { "id": member.id },
                })
            })
            .collect();
        Members { rows, totals }
    }

    fn matches(&self, id: i32, filter: &Value, zone: Tz) -> bool {
        let Some(member) = self.members.iter().find(|member| member.id == id) else { return false };
        let named = filter["userIds"].as_array().is_none_or(|ids| ids.contains(&json!(id)));
        let active = filter["isActive"].as_bool().is_none_or(|active| active == member.is_active);
        named && active && in_range(local_date(zone, member.joined_at), filter, "joinedFrom", "joinedTo")
    }
}

fn daily_row(zone: Tz, date: NaiveDate, day: Option<&Day>) -> Value {
    let rate = day.filter(|day| day.issued > 0);
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let rate = rate.map(|day| day.visits as f64 / day.issued as f64);
    json!({
        "date": date,
        "startsAtMillis": first_instant(zone, date).timestamp_millis(),
        "visits": day.map(|day| day.visits),
        "tokensIssued": day.map(|day| day.issued),
        "tokensUnused": day.map(|day| day.unused),
        "uniqueVisitors": day.map(|day| day.visitors.len()),
        "conversionRate": rate,
        "isPartial": first_instant(zone, date + Days::new(1)) > now(),
    })
}

fn local_date(zone: Tz, instant: NaiveDateTime) -> NaiveDate {
    zone.from_utc_datetime(&instant).date_naive()
}

/// The first instant whose local date is `date` or later, found by looking at every minute.
fn first_instant(zone: Tz, date: NaiveDate) -> DateTime<Utc> {
    static KNOWN: LazyLock<Mutex<HashMap<(Tz, NaiveDate), DateTime<Utc>>>> = LazyLock::new(Mutex::default);
    *KNOWN.lock().unwrap().entry((zone, date)).or_insert_with(|| {
        let mut instant = date.and_hms_opt(0, 0, 0).unwrap() - TimeDelta::hours(16);
        while local_date(zone, instant) < date {
            instant += TimeDelta::minutes(1);
        }
        instant.and_utc()
    })
}

fn day_exists(zone: Tz, date: NaiveDate) -> bool {
    local_date(zone, first_instant(zone, date).naive_utc()) == date
}

fn in_range(date: NaiveDate, filter: &Value, from: &str, to: &str) -> bool {
    parse(&filter[from]).is_none_or(|from| from <= date) && parse(&filter[to]).is_none_or(|to| date <= to)
}

fn on_weekday(date: NaiveDate, filter: &Value) -> bool {
    let name = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
    let name = json!(name[date.weekday().num_days_from_monday() as usize]);
    filter["weekdays"].as_array().is_none_or(|days| days.contains(&name))
}

fn parse(date: &Value) -> Option<NaiveDate> {
    date.as_str().map(|date| date.parse().unwrap())
}

fn rfc3339(instant: NaiveDateTime) -> String {
    instant.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
