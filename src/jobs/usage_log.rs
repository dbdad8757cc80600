//! The heartbeat of the business: the daily usage in the log, as the legacy service logged it, and
//! today's numbers in the metrics.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    metrics,
    reports::{
        Error, Measures, Reports, UsageQuestion,
        model::{Figures, LegacyDailyUsage},
    },
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
                warn!(%error, "daily usage not logged");
            }
        }
    };
    stop.run_until_cancelled(log).await;
}

async fn log_once(reports: &Reports) -> Result<(), Error> {
    let measures = Measures { visits: true, tokens_issued: true, ..Measures::default() };
    let session = reports.session();
    let days = session.daily_usage(&UsageQuestion::default(), measures, None).await?;
    let today = days.rows.iter().find(|day| day.date() == session.now().date_naive());
    let today = today.map_or_else(Figures::default, |day| day.figures);
    metrics::today(today.visits.unwrap_or_default(), today.tokens_issued.unwrap_or_default());
    let visits: i64 = days.rows.iter().filter_map(|day| day.figures.visits).sum();
    let daily_usage = serde_json::to_string(&LegacyDailyUsage(&days.rows)).unwrap_or_default();
    info!(visits, daily_usage, "daily usage");
    Ok(())
}
