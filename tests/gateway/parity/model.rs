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

struct Row<'a> {
    member: &'a Member,
    visits: i64,
    issued: i64,
    unused: i64,
    first: Option<NaiveDateTime>,
    last: Option<NaiveDateTime>,
}

impl Row<'_> {
    fn key(&self, field: &str) -> Option<i64> {
        let micros = |time: NaiveDateTime| time.and_utc().timestamp_micros();
        match field {
            "USER_ID" => Some(self.member.id.into()),
            "VISITS" => Some(self.visits),
            "TOKENS_ISSUED" => Some(self.issued),
            "JOINED_AT" => Some(micros(self.member.joined_at)),
            "FIRST_VISIT_AT" => self.first.map(micros),
            "LAST_VISIT_AT" => self.last.map(micros),
            other => panic!("{other}"),
        }
    }

    fn json(&self) -> Value {
        json!({
            "userId": self.member.id, "visits": self.visits, "tokensIssued": self.issued, "tokensUnused": self.unused,
            "firstVisitAt": self.first.map(rfc3339), "lastVisitAt": self.last.map(rfc3339),
            "joinedAt": rfc3339(self.member.joined_at), "isActive": self.member.is_active, "user": { "id": self.member.id },
        })
    }
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
            let row = Row {
                member,
                visits: i64::try_from(visits.len()).unwrap(),
                issued: i64::try_from(issued.len()).unwrap(),
                unused: i64::try_from(issued.iter().filter(|token| token.used_at.is_none()).count()).unwrap(),
                first: visits.iter().min().copied(),
                last: visits.iter().max().copied(),
            };
            let listed = everyone || !issued.is_empty() || !visits.is_empty();
            let enough = filter["minVisits"].as_i64().is_none_or(|min| row.visits >= min);
            let few = filter["maxVisits"].as_i64().is_none_or(|max| row.visits <= max);
            let gone = parse(&filter["lastVisitBefore"])
                .is_none_or(|date| row.last.is_some_and(|last| last.and_utc() < first_instant(zone, date)));
            if listed && enough && few && gone {
                rows.push(row);
            }
        }
        let (field, ascending) =
            (question["order"]["field"].as_str().unwrap(), question["order"]["direction"] == "ASC");
        rows.sort_by(|left, right| {
            let order = match (left.key(field), right.key(field)) {
                (Some(left), Some(right)) if ascending => left.cmp(&right),
                (Some(left), Some(right)) => right.cmp(&left),
                (None, None) => Ordering::Equal,
                (None, _) => Ordering::Greater,
                (_, None) => Ordering::Less,
            };
            order.then(left.member.id.cmp(&right.member.id))
        });
        let totals = json!({
            "visits": rows.iter().map(|row| row.visits).sum::<i64>(),
            "tokensIssued": rows.iter().map(|row| row.issued).sum::<i64>(),
            "tokensUnused": rows.iter().map(|row| row.unused).sum::<i64>(),
        });
        Members { rows: rows.iter().map(Row::json).collect(), totals }
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
    type Known = HashMap<(Tz, NaiveDate), DateTime<Utc>>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
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
