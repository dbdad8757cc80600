//! Keeps the rollup up to date if this role may do so, and checks whether reports should read it.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    database::Database,
    metrics,
    reports::{
        Error, Reports,
        rollup::{self, Portion, Position, Progress, Status},
    },
};

/// Refreshes and checks every `period`, until `stop` is cancelled. `maintenance` is a connection that may write.
pub async fn run(reports: Reports, maintenance: Database, period: Duration, stop: CancellationToken) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let keep = async {
        // Creates the counter at 0, so that the first difference shows as an increase.
        metrics::rollup_differed(0);
        let mut announced = None;
        let mut position = Position::default();
        loop {
            ticks.tick().await;
            match keep_once(&reports, &maintenance, &mut position).await {
                Ok(status) => {
                    metrics::rollup_refreshed(true, status.as_ref().map_or(0, |status| status.log_rows));
                    let state =
                        Some((reports.reads_rollup(), status.as_ref().and_then(|status| status.trouble.clone())));
                    if announced != state {
                        announce(&reports, status);
                        warn_of_unsafe(&maintenance).await;
                        announced = state;
                    }
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

/// Logs whether reports read the rollup or the door codes, at first and after each change.
fn announce(reports: &Reports, status: Option<Status>) {
    match status {
        Some(Status { trouble: Some(trouble), .. }) => {
            warn!(trouble, "reports read the door codes: the rollup is not used");
        }
        Some(Status { generation, .. }) if reports.reads_rollup() => {
            info!(generation, "reports read the rollup from now on");
        }
        Some(_) => info!("reports read the door codes: the rollup is behind"),
        None => info!("reports read the door codes: there is no rollup, or this role may not read it"),
    }
}

/// Also warns about rollups that this gateway does not read.
async fn warn_of_unsafe(maintenance: &Database) {
    for problem in rollup::unsafe_rollups(maintenance.connection()).await.unwrap_or_default() {
        error!(
            problem,
            "UNSAFE: run `coworking-analytics rollup upgrade` as the owner of the rollup now; see SECURITY.md"
        );
    }
}

async fn keep_once(
    reports: &Reports,
    maintenance: &Database,
    position: &mut Position,
) -> Result<Option<Status>, Error> {
    let status = reports.look_for_rollup().await?;
    let connection = maintenance.connection();
    if status.as_ref().is_none_or(|status| status.trouble.is_some()) || !rollup::is_refreshable(connection).await? {
        return Ok(status);
    }
    let mut told = Instant::now();
    while let Progress::Underway { slots_until, users_until } = rollup::refresh(connection).await? {
        if told.elapsed() >= rollup::TOLD_EVERY {
            info!(slots_until, users_until, "filling the rollup");
            told = Instant::now();
        }
    }
    // A small portion each time; all of the rollup is verified within hours.
    let differences = rollup::verify(connection, position, Portion::Small).await?;
    if !differences.is_empty() {
        metrics::rollup_differed(differences.len());
        error!(
            places = differences.join(", "),
            "the rollup differs from the door codes and is counted anew; find out what changed one of them without the triggers"
        );
    }
    maintenance.settle().await?;
    reports.look_for_rollup().await
}
