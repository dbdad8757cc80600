//! Invented members and door codes that resemble a real coworking space: weekdays are busier than weekends, there are
//! peaks in the morning and after lunch, some members come often and some never, and about half of the door codes are
//! unused. The same size, time and first user id give the same rows.

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
    pub const SAMPLE: Self = Self { users: 1_000, tokens: 6_000, days: 90 };
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
    /// When each invented member joined.
    joined: Vec<NaiveDateTime>,
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

impl Inventor {
    fn new(size: Size, now: NaiveDateTime, first_user: i32) -> Self {
        let random = fastrand::Rng::with_seed(0x0c0_ffee ^ u64::from(first_user.unsigned_abs()));
        Self { size, now, first_user, joined: Vec::new(), random }
    }

    /// About two thirds of the members joined before the first door code, the others since.
    fn user(&mut self) -> (&'static str, &'static str, NaiveDateTime, bool) {
        let first = FIRST_NAMES[self.random.usize(..FIRST_NAMES.len())];
        let last = LAST_NAMES[self.random.usize(..LAST_NAMES.len())];
        let days = f64::from(self.size.days);
        let age = if self.random.f64() < 0.33 { days * self.random.f64() } else { days + 500.0 * self.random.f64() };
        let joined_at = self.ago(age);
        self.joined.push(joined_at);
        (first, last, joined_at, self.random.f64() < 0.85)
    }

    /// An instant in the past, to the microsecond.
    fn ago(&mut self, days: f64) -> NaiveDateTime {
        #[expect(clippy::cast_possible_truncation, reason = "centuries of microseconds fit into 63 bits")]
        let micros = (days * 86_400e6) as i64;
        self.now - TimeDelta::microseconds(micros) - TimeDelta::microseconds(self.random.i64(0..1_000_000))
    }

    /// One fifth of the members never come. The others come more often the lower their number is, and never before they
    /// joined.
    fn token(&mut self) -> (i32, NaiveDateTime, Option<NaiveDateTime>) {
        let regularity = self.random.f64().powf(1.4) * 0.8;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the number of users")]
        let index = (regularity * f64::from(self.size.users)) as usize;
        let joined_at = self.joined.get(index).copied().unwrap_or(self.now);
        let created_at = self.busy_instant(joined_at);
        let used_at = self.random.bool().then(|| created_at + self.delay()).filter(|used_at| *used_at <= self.now);
        (self.first_user.saturating_add_unsigned(u32::try_from(index).unwrap_or_default()), created_at, used_at)
    }

    /// An instant since `from`, in the period of the door codes. Busy weekdays and hours are more likely.
    fn busy_instant(&mut self, from: NaiveDateTime) -> NaiveDateTime {
        #[expect(clippy::cast_precision_loss, reason = "seconds of some years")]
        let age = ((self.now - from).num_seconds() as f64 / 86_400.0).min(f64::from(self.size.days));
        loop {
            let days_ago = age * self.random.f64();
            let instant = self.ago(days_ago);
            let weekday = WEEKDAYS[instant.weekday().num_days_from_monday() as usize];
            // The minimum ends the search also for members who joined in the middle of the night.
            if self.random.f64() < (weekday * HOURS[instant.hour() as usize]).max(0.001) {
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
