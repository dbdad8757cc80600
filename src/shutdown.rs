//! How the process is told to stop.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How the process ends: step by step, for all who have a part in it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Cancelled when the process is about to stop: readiness fails from then on.
    pub draining: CancellationToken,
    /// Cancelled when it stops: nothing new is begun from then on.
    pub stop: CancellationToken,
    /// What is waited for after that.
    pub tasks: TaskTracker,
}

/// Who asked for the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM, from an orchestrator that first has to take this replica out of its load balancer.
    Terminate,
    /// Ctrl-C, from a person who waits.
    Interrupt,
}

/// Waits for SIGTERM or Ctrl-C.
///
/// # Errors
/// When the process cannot listen for signals.
pub async fn requested() -> io::Result<StopSignal> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => StopSignal::Terminate,
        _ = interrupt.recv() => StopSignal::Interrupt,
    })
}
