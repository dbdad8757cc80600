//! A simple model of the reports: it looks at every row, one by one, and asks the zone every calendar question. It is
//! slow, and easy to verify.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, SecondsFormat, Weekday};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::{
    calendar::{day_end, day_exists, first_instant, local_date, relative},
    reports,
};
use crate::support::{Backend, now};

/// An instant; none for a stored value that cannot be read as one.
pub type Moment = Option<NaiveDateTime>;

pub struct Member {
    pub id: i32,
    pub first_name: String,
    pub last_name: String,
    pub joined_at: Moment,
    pub is_active: bool,
}

impl Member {
    /// Whether the full name contains the part, in any case: one character after the other, with those that have one
    /// character as their upper, and that as its lower case.
    fn is_named(&self, part: &str) -> bool {
        let one = |letter: char, other: String| if other.chars().count() == 1 { other } else { letter.to_string() };
        let folded = |letter: char| {
            let upper = one(letter, letter.to_uppercase().to_string()).chars().next().unwrap();
            one(upper, upper.to_lowercase().to_string())
        };
        let folded = |text: &str| text.chars().map(folded).collect::<String>();
        folded(&format!("{} {}", self.first_name, self.last_name)).contains(&folded(part))
    }
}

pub struct Token {
    pub user_id: i32,
    pub created_at: Moment,
    pub used_at: Option<Moment>,
}

pub struct Space {
    pub members: Vec<Member>,
    pub tokens: Vec<Token>,
}

/// A complete list of `userVisits`.
pub struct Members {
    pub rows: Vec<Value>,
    pub totals: Value,
}

/// The common parts of questions, with relative ranges resolved to dates.
#[derive(Clone)]
pub struct Asked {
    pub filter: Value,
    pub zone: Tz,
    pub by_use: bool,
    pub week_start: Weekday,
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    /// If given, only these dates count.
    pub dates: Option<BTreeSet<NaiveDate>>,
    /// If given, only instants before this one count.
    pub end: Option<NaiveDateTime>,
}

impl Asked {
    pub fn read(question: &Value) -> Self {
        Self::new(&question["filter"], &question["zone"], &question["basis"], &question["weekStart"])
    }

    fn new(filter: &Value, zone: &Value, basis: &Value, week_start: &Value) -> Self {
        let zone = zone.as_str().unwrap().parse().unwrap();
        let week_start = week_start.as_str().map_or(Weekday::Mon, |day| day.parse().unwrap());
        let (from, to) = match filter["range"].as_str() {
            Some("ALL") => (None, None),
            Some(range) => {
                let (from, to) = relative(range, zone, week_start, local_date(zone, now().naive_utc()));
                (Some(from), Some(to))
            }
            None => (date(zone, &filter["from"]), date(zone, &filter["to"])),
        };
        Self { filter: filter.clone(), zone, by_use: basis == "USED_AT", week_start, from, to, dates: None, end: None }
    }

    pub fn today(&self) -> NaiveDate {
        local_date(self.zone, now().naive_utc())
    }

    /// The instant at which a used door code counts as a visit.
    pub fn visit(&self, token: &Token) -> Option<NaiveDateTime> {
        token.used_at.and_then(|used_at| if self.by_use { used_at } else { token.created_at })
    }

    /// The local date of an instant if it counts: in the range, and on a selected day of the week.
    pub fn counted(&self, instant: NaiveDateTime) -> Option<NaiveDate> {
        let date = local_date(self.zone, instant);
        let is_early = self.end.is_none_or(|end| instant < end);
        (is_early && self.in_range(date) && self.on_weekday(date)).then_some(date)
    }

    /// Whether a report can have a row for this date: it is a selected day of the week, and the zone did not skip it.
    pub fn reported(&self, date: NaiveDate) -> bool {
        self.on_weekday(date) && day_exists(self.zone, date)
    }

    pub fn in_range(&self, date: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= date)
            && self.to.is_none_or(|to| date <= to)
            && self.dates.as_ref().is_none_or(|dates| dates.contains(&date))
    }

    pub fn on_weekday(&self, date: NaiveDate) -> bool {
        let is_it = |day: &Value| day.as_str().unwrap().parse() == Ok(date.weekday());
        self.filter["weekdays"].as_array().is_none_or(|days| days.iter().any(is_it))
    }
}

/// Measures that `usage` has, and `dailyUsage` has not.
pub const OF_USAGE: [&str; 3] = ["newVisitors", "returningVisitors", "visitsPerVisitor"];

/// Sums over some door codes.
#[derive(Default)]
pub struct Tally {
    pub visits: i64,
    pub issued: i64,
    pub unused: i64,
    pub visitors: BTreeSet<i32>,
    pub newcomers: usize,
}

impl Tally {
    /// The measures as JSON; all null without a tally.
    pub fn json(tally: Option<&Self>) -> Value {
        json!({
            "visits": tally.map(|tally| tally.visits),
            "tokensIssued": tally.map(|tally| tally.issued),
            "tokensUnused": tally.map(|tally| tally.unused),
            "uniqueVisitors": tally.map(|tally| tally.visitors.len()),
            "newVisitors": tally.map(|tally| tally.newcomers),
            "returningVisitors": tally.map(|tally| tally.visitors.len() - tally.newcomers),
            "visitsPerVisitor": tally.and_then(|tally| ratio(tally.visits, count(tally.visitors.len()))),
            "conversionRate": tally.and_then(|tally| ratio(tally.visits, tally.issued)),
        })
    }
}

/// The numbers of one member.
pub struct Row<'a> {
    pub member: &'a Member,
    pub visits: i64,
    pub issued: i64,
    pub unused: i64,
    pub first: Option<NaiveDateTime>,
    pub last: Option<NaiveDateTime>,
}

impl Row<'_> {
    fn key(&self, field: &str) -> Option<i64> {
        let micros = |time: NaiveDateTime| time.and_utc().timestamp_micros();
        match field {
            "USER_ID" => Some(self.member.id.into()),
            "VISITS" => Some(self.visits),
            "TOKENS_ISSUED" => Some(self.issued),
            "JOINED_AT" => self.member.joined_at.map(micros),
            "FIRST_VISIT_AT" => self.first.map(micros),
            "LAST_VISIT_AT" => self.last.map(micros),
            other => panic!("{other}"),
        }
    }

    /// The fields that all lists of members share.
    pub fn json(&self) -> Value {
        json!({
            "userId": self.member.id, "visits": self.visits, "tokensIssued": self.issued,
            "firstVisitAt": self.first.map(rfc3339), "lastVisitAt": self.last.map(rfc3339),
            "joinedAt": self.member.joined_at.map(rfc3339), "isActive": self.member.is_active,
            "user": {
                "id": self.member.id, "firstName": self.member.first_name, "lastName": self.member.last_name,
                "joinedAt": self.member.joined_at.map(rfc3339), "isActive": self.member.is_active,
            },
        })
    }
}

impl Space {
    /// The dates on which door codes count: by their issue, and with the basis `USED_AT` also by their use.
    pub fn dates(&self, asked: &Asked) -> BTreeSet<NaiveDate> {
        let matching = self.tokens.iter().filter(|token| self.matches(token.user_id, asked));
        let moments = matching.flat_map(|token| [token.created_at, token.used_at.flatten().filter(|_| asked.by_use)]);
        moments.flatten().filter_map(|moment| asked.counted(moment)).collect()
    }

    /// SQL that inserts the rows. On SQLite, times are written in several formats.
    pub fn insert(&self, backend: Backend) -> String {
        let forms = match backend {
            Backend::Postgres => &["%Y-%m-%d %H:%M:%S%.f"][..],
            Backend::Sqlite => &[
                "%Y-%m-%d %H:%M:%S%.f",
                "%Y-%m-%dT%H:%M:%S%.fZ",
                "%Y-%m-%d %H:%M:%S%.6f",
                "%Y-%m-%dT%H:%M:%S%.f+00:00",
            ],
        };
        let odd = match backend {
            Backend::Postgres => &["infinity", "-infinity", "20000-01-01", "0044-03-15 BC"],
            Backend::Sqlite => &["infinity", "", "no time", "10000-01-01 00:00:00"],
        };
        let time = |row: usize, time: Moment| match time {
            Some(time) => time.format(&format!("'{}'", forms[row % forms.len()])).to_string(),
            None => format!("'{}'", odd[row % odd.len()]),
        };
        let text = |text: &str| text.replace('\'', "''");
        let member = |(row, member): (usize, &Member)| {
            let Member { id, first_name, last_name, joined_at, is_active } = member;
            let (first, last) = (text(first_name), text(last_name));
            format!("({id}, '{first}', '{last}', {}, {is_active})", time(row, *joined_at))
        };
        let token = |(row, Token { user_id, created_at, used_at }): (usize, &Token)| {
            let used_at = used_at.map_or("NULL".to_owned(), |used_at| time(row / 4, used_at));
            format!("({user_id}, 'sample', {}, {used_at})", time(row, *created_at))
        };
        let members: Vec<_> = self.members.iter().enumerate().map(member).collect();
        let tokens: Vec<_> = self.tokens.iter().enumerate().map(token).collect();
        format!(
            "INSERT INTO users VALUES {}; INSERT INTO tokens (user_id, token, created_at, used_at) VALUES {};",
            members.join(", "),
            tokens.join(", ")
        )
    }

    /// Sums by the key that `place` gives for an instant; instants without a key do not count.
    pub fn tallies<K: Ord>(&self, asked: &Asked, place: impl Fn(NaiveDateTime) -> Option<K>) -> BTreeMap<K, Tally> {
        let mut tallies = BTreeMap::<K, Tally>::new();
        let mut first = BTreeMap::<i32, NaiveDateTime>::new();
        for token in self.tokens.iter().filter(|token| self.matches(token.user_id, asked)) {
            if let Some(key) = token.created_at.and_then(&place) {
                let tally = tallies.entry(key).or_default();
                tally.issued += 1;
                tally.unused += i64::from(token.used_at.is_none());
            }
            if let Some(visit) = asked.visit(token) {
                first.entry(token.user_id).and_modify(|first| *first = visit.min(*first)).or_insert(visit);
            }
            if let Some(key) = asked.visit(token).and_then(&place) {
                let tally = tallies.entry(key).or_default();
                tally.visits += 1;
                tally.visitors.insert(token.user_id);
            }
        }
        for key in first.into_values().filter_map(place) {
            tallies.entry(key).or_default().newcomers += 1;
        }
        tallies
    }

    pub fn daily_usage(&self, question: &Value) -> Vec<Value> {
        let asked = Asked::read(question);
        let days = self.tallies(&asked, |instant| asked.counted(instant));
        if question["gaps"] == "OMIT" {
            return days.iter().map(|(date, day)| daily_row(asked.zone, *date, Some(day))).collect();
        }
        let (from, to) = (asked.from.unwrap(), asked.to.unwrap());
        let nothing = Tally::default();
        let gap = (question["gaps"] == "ZERO").then_some(&nothing);
        from.iter_days()
            .take_while(|date| *date <= to)
            .filter(|date| asked.reported(*date))
            .map(|date| daily_row(asked.zone, date, days.get(&date).or(gap)))
            .collect()
    }

    pub fn user_visits(&self, question: &Value) -> Members {
        let filter = &question["filter"];
        let asked = Asked::new(filter, &filter["timeZone"], &filter["basis"], &Value::Null);
        let everyone = filter["includeUsersWithoutVisits"] == true;
        let mut rows: Vec<Row> = Vec::new();
        for member in self.members.iter().filter(|member| self.matches(member.id, &asked)) {
            let row = self.row(member, &asked);
            let listed = everyone || row.issued > 0 || row.visits > 0;
            let enough = filter["minVisits"].as_i64().is_none_or(|min| row.visits >= min);
            let few = filter["maxVisits"].as_i64().is_none_or(|max| row.visits <= max);
            let gone = date(asked.zone, &filter["lastVisitBefore"])
                .is_none_or(|date| row.last.is_some_and(|last| last < first_instant(asked.zone, date)));
            if listed && enough && few && gone {
                rows.push(row);
            }
        }
        sort(&mut rows, &question["order"]);
        let mut members = reports::placed(&rows);
        if question["compared"] == true {
            for (name, compare_to) in [("previous", "PREVIOUS_PERIOD"), ("lastYear", "PREVIOUS_YEAR")] {
                let [now, before] = self.sides(question, &asked, compare_to).map(|side| self.ranked(side));
                for row in &mut members.rows {
                    row[name] = before.beside(&now, row["userId"].as_i64().unwrap());
                }
            }
        }
        members
    }

    /// Each member's visits, door codes issued, door codes not used, and rank on a side of a comparison.
    fn ranked(&self, side: Asked) -> Ranked {
        let mut members: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
        for token in self.tokens.iter().filter(|token| self.matches(token.user_id, &side)) {
            let counts = |moment: Moment| moment.is_some_and(|instant| side.counted(instant).is_some());
            let issued = counts(token.created_at);
            let visited =
                token.used_at.is_some_and(|used_at| counts(if side.by_use { used_at } else { token.created_at }));
            if issued || visited {
                let own = members.entry(token.user_id.into()).or_default();
                own[0] += i64::from(visited);
                own[1] += i64::from(issued);
                own[2] += i64::from(issued && token.used_at.is_none());
            }
        }
        Ranked { side, members }
    }

    /// The numbers of a member in the range.
    pub fn row<'a>(&self, member: &'a Member, asked: &Asked) -> Row<'a> {
        let own: Vec<_> = self.tokens.iter().filter(|token| token.user_id == member.id).collect();
        // A value that cannot be read as an instant counts only when the range is open at both ends.
        let always = asked.from.is_none() && asked.to.is_none();
        let within = |moment: Moment| moment.map_or(always, |instant| asked.in_range(local_date(asked.zone, instant)));
        let issued: Vec<_> = own.iter().filter(|token| within(token.created_at)).collect();
        let is_visit = |token: &&&Token| {
            token.used_at.is_some_and(|used_at| within(if asked.by_use { used_at } else { token.created_at }))
        };
        let visits: Vec<_> = own.iter().filter(is_visit).filter_map(|token| token.used_at).collect();
        Row {
            member,
            visits: count(visits.len()),
            issued: count(issued.len()),
            unused: count(issued.iter().filter(|token| token.used_at.is_none()).count()),
            first: visits.iter().flatten().min().copied(),
            last: visits.iter().flatten().max().copied(),
        }
    }

    pub fn matches(&self, id: i32, asked: &Asked) -> bool {
        let Some(member) = self.members.iter().find(|member| member.id == id) else { return false };
        let filter = &asked.filter;
        let joined_on = member.joined_at.map(|joined_at| local_date(asked.zone, joined_at));
        filter["userIds"].as_array().is_none_or(|ids| ids.contains(&json!(id)))
            && filter["isActive"].as_bool().is_none_or(|active| active == member.is_active)
            && filter["nameContains"].as_str().is_none_or(|part| member.is_named(part))
            && date(asked.zone, &filter["joinedFrom"])
                .is_none_or(|from| joined_on.is_some_and(|joined_on| from <= joined_on))
            && date(asked.zone, &filter["joinedTo"]).is_none_or(|to| joined_on.is_some_and(|joined_on| joined_on <= to))
    }
}

/// Members on one side of a comparison.
struct Ranked {
    side: Asked,
    members: BTreeMap<i64, [i64; 3]>,
}

impl Ranked {
    fn of(&self, id: i64) -> ([i64; 3], Option<i64>) {
        let own = self.members.get(&id).copied();
        let rank = own.map(|own| 1 + count(self.members.values().filter(|other| other[0] > own[0]).count()));
        (own.unwrap_or_default(), rank)
    }

    /// A member here, and the differences from here to `now`.
    fn beside(&self, now: &Self, id: i64) -> Value {
        let (from, to) = (self.side.from.unwrap(), self.side.to.unwrap());
        let up_to = self.side.end.unwrap_or_else(|| day_end(self.side.zone, to));
        let ((own, rank), (later, later_rank)) = (self.of(id), now.of(id));
        json!({
            "from": from, "to": to, "upTo": rfc3339(up_to),
            "visits": own[0], "tokensIssued": own[1], "tokensUnused": own[2], "rank": rank,
            "change": {
                "visits": later[0] - own[0], "tokensIssued": later[1] - own[1], "tokensUnused": later[2] - own[2],
                "rank": later_rank.zip(rank).map(|(later, rank)| later - rank),
            },
        })
    }
}

/// Sorts by a field; rows without a value come last, and ties are sorted by the member's id.
pub fn sort(rows: &mut [Row], order: &Value) {
    let (field, ascending) = (order["field"].as_str().unwrap(), order["direction"] == "ASC");
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
}

fn daily_row(zone: Tz, date: NaiveDate, day: Option<&Tally>) -> Value {
    let starts_at = first_instant(zone, date);
    let row = json!({
        "date": date,
        "startsAt": rfc3339(starts_at),
        "startsAtMillis": starts_at.and_utc().timestamp_millis(),
        "isPartial": day_end(zone, date) > now().naive_utc(),
    });
    let mut row = merged(row, Tally::json(day));
    row.as_object_mut().unwrap().retain(|name, _| !OF_USAGE.contains(&name.as_str()));
    row
}

/// An object with the fields of both.
pub fn merged(mut left: Value, right: Value) -> Value {
    let Value::Object(right) = right else { panic!("{right} is no object") };
    left.as_object_mut().unwrap().extend(right);
    left
}

/// One count divided by another; null where that is 0.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

pub fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap()
}

/// The date of an argument: a date, or milliseconds of an instant.
fn date(zone: Tz, written: &Value) -> Option<NaiveDate> {
    let moment = written.as_i64().map(|millis| DateTime::from_timestamp_millis(millis).unwrap().naive_utc());
    moment.map(|moment| local_date(zone, moment)).or_else(|| written.as_str().map(|date| date.parse().unwrap()))
}

pub fn rfc3339(instant: NaiveDateTime) -> String {
    instant.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
