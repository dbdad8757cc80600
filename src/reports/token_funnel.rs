//! From the issue of a door code to its use: how many are used, and how long that takes.

use std::collections::BTreeMap;

use entity::token;
use sea_orm::sea_query::{Expr, Query, SelectStatement, WithClause};

use super::{
    Error, Session,
    dialect::{readable, seconds_between},
    filter::{TimeBasis, TokenFilter},
    made,
    model::ratio,
    rollup::Wanted,
    selection::{cte, tokens},
};

/// What became of the door codes that were issued in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenFunnel {
    /// Door codes issued.
    pub issued: i64,
    /// Door codes used so far.
    pub used: i64,
    /// Door codes whose use is recorded before their issue; they have no time to use.
    pub used_before_issued: i64,
    /// Door codes whose use is recorded at their issue or later. The percentiles are over these.
    pub timed: i64,
    /// Median time from issue to use, in seconds, rounded down; `None` when `timed` is 0.
    pub median: Option<i64>,
    /// The time within which 90 % of the timed door codes were used, in seconds, rounded down.
    pub p90: Option<i64>,
    /// The time within which 99 % of the timed door codes were used, in seconds, rounded down.
    pub p99: Option<i64>,
}

impl TokenFunnel {
    /// Used door codes per issued one; `None` when none was issued.
    #[must_use]
    pub fn conversion_rate(&self) -> Option<f64> {
        ratio(self.used, self.issued)
    }
}

/// Numbers of door codes by whole seconds from issue to use.
#[derive(Debug, Default)]
struct Waits {
    negative: i64,
    /// Up to a week.
    short: Vec<i64>,
    long: BTreeMap<i64, i64>,
}

impl Waits {
    const WEEK: usize = 7 * 24 * 3_600;

    fn add(&mut self, seconds: i64) {
        match usize::try_from(seconds) {
            Err(_) => self.negative += 1,
            Ok(place) if place < Self::WEEK => {
                if place >= self.short.len() {
                    self.short.resize(place + 1, 0);
                }
                self.short[place] += 1;
            }
            Ok(_) => *self.long.entry(seconds).or_default() += 1,
        }
    }

    fn timed(&self) -> i64 {
        self.short.iter().chain(self.long.values()).sum()
    }

    /// By the nearest-rank method: <https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>.
    fn percentile(&self, percent: i64) -> Option<i64> {
        let timed = self.timed();
        let mut reached = 0;
        let short = (0..).zip(self.short.iter().copied());
        let mut all = short.chain(self.long.iter().map(|(seconds, count)| (*seconds, *count)));
        let found = all.find(|(_, count)| {
            reached += count;
            *count > 0 && reached * 100 >= timed * percent
        });
        found.map(|(seconds, _)| seconds)
    }
}

impl Session {
    /// The funnel of the door codes that were issued in the filter's range.
    ///
    /// # Errors
    /// What the database says.
    pub async fn token_funnel(&self, filter: &TokenFilter) -> Result<TokenFunnel, Error> {
        made("token_funnel", async {
            let filter = &TokenFilter { basis: TimeBasis::IssuedAt, ..filter.clone() };
            if let Some(funnel) = self.kept_funnel(filter).await? {
                return Ok(funnel);
            }
            let rows = self.query_all(&self.funnel_statement(filter)).await?;
            let count = |column| rows.first().map_or(Ok(None), |row| row.try_get::<Option<i64>>("", column));
            Ok(TokenFunnel {
                issued: count("issued")?.unwrap_or(0),
                used: count("used")?.unwrap_or(0),
                used_before_issued: count("used_before_issued")?.unwrap_or(0),
                timed: count("timed")?.unwrap_or(0),
                median: count("median")?,
                p90: count("p90")?,
                p99: count("p99")?,
            })
        })
        .await
    }

    /// From the rollup; `None` when it cannot answer.
    async fn kept_funnel(&self, filter: &TokenFilter) -> Result<Option<TokenFunnel>, Error> {
        let (mut issued, mut used) = (0, 0);
        let mut waits = Waits::default();
        let wanted = Wanted { waits: true, ..Wanted::all(filter) };
        let is_read = self.codes(filter, wanted, |codes| {
            issued += codes.issued;
            used += codes.issued_and_used;
            codes.waits.iter().flatten().for_each(|wait| waits.add(*wait));
        });
        if !is_read.await? {
            return Ok(None);
        }
        let [median, p90, p99] = [50, 90, 99].map(|percent| waits.percentile(percent));
        let (used_before_issued, timed) = (waits.negative, waits.timed());
        Ok(Some(TokenFunnel { issued, used, used_before_issued, timed, median, p90, p99 }))
    }

    /// Counts door codes by the whole seconds from issue to use, and finds percentiles among these counts by the
    /// nearest-rank method: <https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method>. Sorting every row, as
    /// `percentile_disc` does, takes several times as long.
    fn funnel_statement(&self, filter: &TokenFilter) -> SelectStatement {
        let used = Expr::col(token::Column::UsedAt);
        let seconds =
            seconds_between(self.backend(), Expr::col(token::Column::CreatedAt), readable(self.backend(), &used));
        let mut waits = tokens(&self.local(filter), filter);
        waits
            .expr_as(seconds, "seconds")
            .expr_as(Expr::cust("count(*)"), "tokens")
            .expr_as(Expr::cust("count(used_at)"), "used")
            .group_by_col("seconds");
        let reached = Query::select()
            .column("seconds")
            .expr_as(Expr::cust("sum(tokens) OVER (ORDER BY seconds)"), "reached")
            .from("waits")
            .and_where(Expr::cust("seconds >= 0"))
            .take();
        let mut with = WithClause::new();
        with.cte(cte("waits", waits)).cte(cte("reached", reached));
        let sum = |condition: &str| Expr::cust(format!("CAST(sum(CASE WHEN {condition} THEN tokens END) AS BIGINT)"));
        let percentile = |percent: u8| {
            Expr::cust(format!(
                "(SELECT min(seconds) FROM reached WHERE reached * 100 >= (SELECT max(reached) FROM reached) * {percent})"
            ))
        };
        Query::select()
            .expr_as(Expr::cust("CAST(sum(tokens) AS BIGINT)"), "issued")
            .expr_as(Expr::cust("CAST(sum(used) AS BIGINT)"), "used")
            .expr_as(sum("seconds < 0"), "used_before_issued")
            .expr_as(sum("seconds >= 0"), "timed")
            .expr_as(percentile(50), "median")
            .expr_as(percentile(90), "p90")
            .expr_as(percentile(99), "p99")
            .from("waits")
            .with_cte(with)
            .take()
    }
}
