//! Keeps the rollup up to date where this role may, and finds out whether reports had better read it.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    database::Database,
    metrics,
    reports::{
        Error, Reports,
        rollup::{self, Progress, Status},
    },
};

/// Refreshes and looks every `period`, until `stop` is cancelled. `maintenance` is a connection that may write.
pub async fn run(reports: Reports, maintenance: Database, period: Duration, stop: CancellationToken) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let keep = async {
        let mut read_before = None;
        loop {
            ticks.tick().await;
            match keep_once(&reports, &maintenance).await {
                Ok(status) => {
                    metrics::rollup_refreshed(true, status.map_or(0, |status| status.log_rows));
                    announce(&reports, read_before, status);
                    read_before = Some(reports.reads_rollup());
                }
                Err(error) => {
                    metrics::rollup_refreshed(false, 0);
                    warn!(error = error.in_full(), "the rollup was not refreshed; answers stay exact, and get slower");
                }
            }
        }
    };
    stop.run_until_cancelled(keep).await;
}

/// Says which way reports go, at first and whenever that changes.
fn announce(reports: &Reports, read_before: Option<bool>, status: Option<Status>) {
    let reads = reports.reads_rollup();
    if read_before == Some(reads) {
        return;
    }
    match status {
        Some(Status { generation, .. }) if reads => info!(generation, "reports read the rollup from now on"),
        Some(_) => info!("reports read the tokens: the rollup is behind"),
        None => info!("reports read the tokens: there is no rollup, or this role may not read it"),
    }
}

async fn keep_once(reports: &Reports, maintenance: &Database) -> Result<Option<Status>, Error> {
    let status = reports.look_for_rollup().await?;
    if status.is_none() || !rollup::is_refreshable(maintenance.connection()).await? {
        return Ok(status);
    }
    while let Progress::Underway { slots_until, users_until } = rollup::refresh(maintenance.connection()).await? {
        info!(slots_until, users_until, "filling the rollup");
    }
    reports.look_for_rollup().await
}
