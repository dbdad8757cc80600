//! The heartbeat of the business: the daily usage in the log, as the legacy service logged it, and
//! today's numbers in the metrics.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    metrics,
    reports::{
        DailyUsageMeasures, Error, Reports,
        filter::DailyUsageFilter,
        model::{DailyUsage, LegacyDailyUsage},
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
    let measures = DailyUsageMeasures { visits: true, tokens_issued: true, ..DailyUsageMeasures::default() };
    let session = reports.session();
    let days = session.daily_usage(&DailyUsageFilter::default(), measures).await?;
    let today = days.iter().find(|day| day.date == session.now().date_naive());
    let measure = |value: fn(&DailyUsage) -> Option<i64>| today.and_then(value).unwrap_or_default();
    metrics::today(measure(|day| day.visits), measure(|day| day.tokens_issued));
    let visits: i64 = days.iter().filter_map(|day| day.visits).sum();
    let daily_usage = serde_json::to_string(&LegacyDailyUsage(&days)).unwrap_or_default();
    info!(visits, daily_usage, "daily usage");
    Ok(())
}
