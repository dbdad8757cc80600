//! The heartbeat of the business in the log: the daily usage, as the legacy service logged it.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::reports::{DailyUsageMeasures, Error, Reports, filter::DailyUsageFilter, model::LegacyDailyUsage};

/// Logs the daily usage at once and then every `period`, until `stop` is cancelled.
pub async fn run(reports: Reports, period: Duration, stop: CancellationToken) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let log = async {
        loop {
            ticks.tick().await;
            if let Err(error) = log_once(&reports).await {
                warn!(%error, "daily usage not logged");
            }
        }
    };
    stop.run_until_cancelled(log).await;
}

async fn log_once(reports: &Reports) -> Result<(), Error> {
    let measures = DailyUsageMeasures { visits: true, ..DailyUsageMeasures::default() };
    let days = reports.session().daily_usage(&DailyUsageFilter::default(), measures).await?;
    let visits: i64 = days.iter().filter_map(|day| day.visits).sum();
    let daily_usage = serde_json::to_string(&LegacyDailyUsage(&days)).unwrap_or_default();
    info!(visits, daily_usage, "daily usage");
    Ok(())
}
