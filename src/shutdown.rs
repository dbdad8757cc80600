//! How the process stops: the signals, and the steps.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The steps of a stop, for all tasks that take part. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Cancelled when the process is about to stop. From then on, the readiness probe fails.
    pub draining: CancellationToken,
    /// Cancelled when the process stops. From then on, nothing new is begun.
    pub stop: CancellationToken,
    /// The tasks that the process waits for after that.
    pub tasks: TaskTracker,
}

/// The signal that asked for the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM, from an orchestrator that needs time to take this replica out of its load balancer.
    Terminate,
    /// SIGINT (Ctrl-C), from a person who waits.
    Interrupt,
}

/// Waits for SIGTERM or SIGINT (Ctrl-C).
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
