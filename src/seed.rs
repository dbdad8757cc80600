//! Invented members and door codes that resemble a real coworking space: weekdays are busier than weekends, summers and the
//! days around New Year are quiet, there are peaks in the morning and after lunch. The space grows: members join, come
//! often or rarely or never, and leave; a few stop coming and stay members. About half of the door codes are unused. The
//! same size, time and first user id give the same rows.

use chrono::{DateTime, Datelike as _, NaiveDateTime, SubsecRound as _, TimeDelta, Timelike as _, Utc};
use entity::{token, user};
use indicatif::{ProgressBar, ProgressStyle};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbErr, TransactionTrait as _,
    sea_query::{Expr, Func, Query},
};

use crate::database::{Database, words};

/// Rows per statement. SQLite allows 32,766 bound values, and a row has four.
const BATCH: usize = 6_000;
/// The value of `tokens.token`. It opens no door.
const NO_CODE: &str = "sample";

/// How many rows to invent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Members.
    pub users: u32,
    /// Door codes.
    pub tokens: u32,
    /// The number of days up to now over which door codes are spread.
    pub days: u32,
}

impl Size {
    /// The size of the sample data in the embedded database.
    pub const SAMPLE: Self = Self { users: 1_000, tokens: 24_000, days: 548 };
}

/// Why nothing was added. No row was left behind.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The tables have rows already.
    #[error("the database has rows already; nothing was added (--append adds to them)")]
    NotEmpty,
    /// An error of the database.
    #[error("{}", words(.0))]
    Database(#[from] DbErr),
}

/// Adds invented rows, either all or none.
///
/// # Errors
/// [`SeedError::NotEmpty`] when the tables have rows, unless `append`; otherwise what the database says.
pub async fn fill(database: &Database, size: Size, now: DateTime<Utc>, append: bool) -> Result<(), SeedError> {
    let transaction = database.connection().begin().await?;
    let first_user = next_id(&transaction, user::Entity).await?;
    if !append && (first_user > 1 || next_id(&transaction, token::Entity).await? > 1) {
        return Err(SeedError::NotEmpty);
    }
    let mut inventor = Inventor::new(size, now.naive_utc().trunc_subsecs(0), first_user);
    let progress = progress_bar(size);
    insert_users(&transaction, &mut inventor, &progress).await?;
    insert_tokens(&transaction, &mut inventor, &progress).await?;
    transaction.commit().await?;
    progress.finish_and_clear();
    Ok(())
}

/// A progress bar, which is drawn on a terminal only.
fn progress_bar(size: Size) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(size.users) + u64::from(size.tokens));
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn next_id(connection: &DatabaseTransaction, table: impl sea_orm::sea_query::IntoTableRef) -> Result<i32, DbErr> {
    let highest = Query::select().expr_as(Func::max(Expr::col("id")), "highest").from(table).take();
    let row = connection.query_one(&highest).await?;
    Ok(row.map(|row| row.try_get::<Option<i32>>("", "highest")).transpose()?.flatten().unwrap_or(0) + 1)
}

async fn insert_users(
    connection: &DatabaseTransaction,
    inventor: &mut Inventor,
    bar: &ProgressBar,
) -> Result<(), DbErr> {
    for batch in batches(inventor.size.users) {
        let mut insert = Query::insert();
        insert.into_table(user::Entity).columns([
            user::Column::FirstName,
            user::Column::LastName,
            user::Column::JoinedAt,
            user::Column::IsActive,
        ]);
        for _ in 0..batch {
            let (first, last, joined_at, is_active) = inventor.user();
            insert.values_panic([first.into(), last.into(), joined_at.into(), is_active.into()]);
        }
        connection.execute(&insert).await?;
        bar.inc(batch as u64);
    }
    Ok(())
}

async fn insert_tokens(
    connection: &DatabaseTransaction,
    inventor: &mut Inventor,
    bar: &ProgressBar,
) -> Result<(), DbErr> {
    for batch in batches(inventor.size.tokens) {
        let mut insert = Query::insert();
        insert.into_table(token::Entity).columns(["user_id", "token", "created_at", "used_at"]);
        for _ in 0..batch {
            let (user_id, created_at, used_at) = inventor.token();
            insert.values_panic([user_id.into(), NO_CODE.into(), created_at.into(), used_at.into()]);
        }
        connection.execute(&insert).await?;
        bar.inc(batch as u64);
    }
    Ok(())
}

fn batches(rows: u32) -> impl Iterator<Item = usize> {
    let rows = rows as usize;
    (0..rows).step_by(BATCH).map(move |done| BATCH.min(rows - done))
}

/// Invents members and door codes with the patterns below.
struct Inventor {
    size: Size,
    now: NaiveDateTime,
    first_user: i32,
    /// When each invented member comes, at the earliest and at the latest.
    comes: Vec<(NaiveDateTime, NaiveDateTime)>,
    /// For each member, how often they and all before them come.
    frequencies: Vec<f64>,
    random: fastrand::Rng,
}

const FIRST_NAMES: [&str; 24] = [
    "Ada", "Amara", "Bruno", "Chidi", "Dana", "Elif", "Farah", "Goran", "Hana", "Ines", "Jonas", "Kemal", "Lena",
    "Mateo", "Nadia", "Olga", "Pavel", "Qi", "Rosa", "Samir", "Tove", "Viktor", "Wanda", "Zoltan",
];
const LAST_NAMES: [&str; 24] = [
    "Ahmadi", "Bauer", "Castro", "Dahl", "Engel", "Fofana", "Grau", "Haile", "Ivanova", "Jansen", "Kowalski", "Lind",
    "Moreau", "Nowak", "Okafor", "Petrov", "Quispe", "Rossi", "Silva", "Tanaka", "Usman", "Varga", "Weber", "Zanetti",
];
/// How busy Monday to Sunday are, relative to the busiest day.
const WEEKDAYS: [f64; 7] = [0.9, 1.0, 1.0, 0.95, 0.7, 0.25, 0.15];
/// How busy each hour of the day is, relative to the busiest hour.
const HOURS: [f64; 24] = [
    0.02, 0.01, 0.0, 0.0, 0.0, 0.02, 0.1, 0.35, 0.8, 1.0, 0.7, 0.5, 0.45, 0.75, 0.6, 0.4, 0.35, 0.4, 0.35, 0.25, 0.15,
    0.1, 0.06, 0.05,
];

/// How busy January to December are, relative to an ordinary month.
const MONTHS: [f64; 12] = [0.95, 1.0, 1.0, 0.95, 0.95, 0.9, 0.7, 0.65, 1.0, 1.0, 1.0, 0.85];
/// How busy the days from 24 December to 1 January are, relative to other days.
const HOLIDAYS: f64 = 0.08;
/// Days that a membership lasts, on average.
const LASTS: f64 = 400.0;

impl Inventor {
    fn new(size: Size, now: NaiveDateTime, first_user: i32) -> Self {
        let random = fastrand::Rng::with_seed(0x0c0_ffee ^ u64::from(first_user.unsigned_abs()));
        Self { size, now, first_user, comes: Vec::new(), frequencies: Vec::new(), random }
    }

    /// An eighth of the members joined before the first door code. Since then, more and more join.
    fn user(&mut self) -> (&'static str, &'static str, NaiveDateTime, bool) {
        let first = FIRST_NAMES[self.random.usize(..FIRST_NAMES.len())];
        let last = LAST_NAMES[self.random.usize(..LAST_NAMES.len())];
        let days = f64::from(self.size.days);
        let age = if self.random.u8(..8) == 0 {
            days + 180.0 * self.random.f64()
        } else {
            days * (1.0 - self.random.f64().powf(0.7))
        };
        let joined_at = self.ago(age);
        // The length of a membership that may end on any day, but for the first weeks.
        let lasts = 20.0 - LASTS * (1.0 - self.random.f64()).ln();
        let is_active = lasts >= age;
        // Of those who are members still, some stopped coming.
        let stays = if is_active && self.random.u8(..12) == 0 { age * self.random.f64() } else { lasts };
        let comes_until = self.ago((age - stays).max(0.0));
        let first_code = self.now - TimeDelta::days(self.size.days.into());
        let from = joined_at.max(first_code);
        // A ninth never comes; of the others, a few come on most days, and most now and then.
        let frequency = if self.random.u8(..9) == 0 { 0.0 } else { 0.05 + self.random.f64().powi(3) };
        #[expect(clippy::cast_precision_loss, reason = "seconds of some years")]
        let seconds = (comes_until - from).num_seconds().max(0) as f64;
        let before = self.frequencies.last().copied().unwrap_or_default();
        self.frequencies.push(before + frequency * seconds);
        self.comes.push((from, comes_until));
        (first, last, joined_at, is_active)
    }

    /// An instant in the past, to the microsecond.
    fn ago(&mut self, days: f64) -> NaiveDateTime {
        #[expect(clippy::cast_possible_truncation, reason = "centuries of microseconds fit into 63 bits")]
        let micros = (days * 86_400e6) as i64;
        self.now - TimeDelta::microseconds(micros) - TimeDelta::microseconds(self.random.i64(0..1_000_000))
    }

    /// A door code of a member, while the member comes.
    fn token(&mut self) -> (i32, NaiveDateTime, Option<NaiveDateTime>) {
        let all = self.frequencies.last().copied().unwrap_or_default();
        let chosen = all * self.random.f64();
        let index = self.frequencies.partition_point(|sum| *sum <= chosen).min(self.comes.len().saturating_sub(1));
        let (from, until) = self.comes.get(index).copied().unwrap_or((self.now, self.now));
        let created_at = self.busy_instant(from, until);
        let used_at = self.random.bool().then(|| created_at + self.delay()).filter(|used_at| *used_at <= self.now);
        (self.first_user.saturating_add_unsigned(u32::try_from(index).unwrap_or_default()), created_at, used_at)
    }

    /// An instant from `from` to `until`. Busy months, weekdays and hours are more likely.
    fn busy_instant(&mut self, from: NaiveDateTime, until: NaiveDateTime) -> NaiveDateTime {
        let micros = (until - from).num_microseconds().unwrap_or(i64::MAX).max(1);
        loop {
            let instant = from + TimeDelta::microseconds(self.random.i64(0..micros));
            let season = match (instant.month(), instant.day()) {
                (12, 24..) | (1, 1) => HOLIDAYS,
                (month, _) => MONTHS[month as usize - 1],
            };
            let weekday = WEEKDAYS[instant.weekday().num_days_from_monday() as usize];
            // The minimum ends the search also for members who joined in the middle of the night.
            if self.random.f64() < (season * weekday * HOURS[instant.hour() as usize]).max(0.001) {
                return instant;
            }
        }
    }

    /// Of 100 used door codes, 85 are used within an hour, 3 after 2 to 16 hours, and 12 up to 15 minutes before their
    /// issue, as happens when clocks differ.
    fn delay(&mut self) -> TimeDelta {
        let minutes = match self.random.u8(..100) {
            0..=11 => -self.random.f64() * 15.0,
            12..=96 => self.random.f64().powi(2) * 60.0,
            _ => 120.0 + self.random.f64() * 840.0,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a few hours of microseconds")]
        TimeDelta::microseconds((minutes * 60e6) as i64)
    }
}
