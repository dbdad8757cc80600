//! Keeps the memory of the metrics bounded when nobody reads them.

use std::time::Duration;

use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

const PERIOD: Duration = Duration::from_secs(5);

/// Folds the metrics every five seconds, until `stop` is cancelled.
pub async fn run(metrics: Metrics, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    let fold = async {
        loop {
            ticks.tick().await;
            metrics.fold();
        }
    };
    stop.run_until_cancelled(fold).await;
}
