//! Logs the numbers of today and yesterday, and sets today's metrics.
//!
//! The legacy service logged a report of the daily usage. The fields of `daily usage` replace it. The map of all days,
//! which grows with the history, is logged at debug level.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    metrics,
    reports::{Error, LegacyDailyUsage, Measures, Reports, UsageQuestion, model::Figures},
};

/// Logs the daily usage at once and then every `period`, until `stop` is cancelled.
pub async fn run(reports: Reports, period: Duration, stop: CancellationToken) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let log = async {
        loop {
            ticks.tick().await;
            let logged = log_once(&reports).await;
            metrics::job_ran("usage_log", logged.is_ok());
            if let Err(error) = logged {
                warn!(error = error.in_full(), "daily usage not logged");
            }
        }
    };
    stop.run_until_cancelled(log).await;
}

/// Days are in UTC, as in the legacy report.
async fn log_once(reports: &Reports) -> Result<(), Error> {
    let measures = Measures { visits: true, tokens_issued: true, ..Measures::default() };
    let session = reports.session();
    let days = session.daily_usage(&UsageQuestion::default(), measures, None).await?;
    let today = session.now().date_naive();
    let of = |date| {
        let day = days.rows.iter().find(|day| Some(day.date()) == date);
        let figures = day.map_or_else(Figures::default, |day| day.figures);
        (figures.visits.unwrap_or_default(), figures.tokens_issued.unwrap_or_default())
    };
    let (visits_today, issued_today) = of(Some(today));
    let (visits_yesterday, issued_yesterday) = of(today.pred_opt());
    let visits_total: i64 = days.rows.iter().filter_map(|day| day.figures.visits).sum();
    metrics::today(visits_today, issued_today);
    info!(visits_today, issued_today, visits_yesterday, issued_yesterday, visits_total, "daily usage");
    debug!(
        daily_usage = serde_json::to_string(&LegacyDailyUsage(&days.rows)).unwrap_or_default(),
        "daily usage, day by day"
    );
    Ok(())
}
