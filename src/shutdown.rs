//! How the process stops: the signals, and the steps.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The steps of a stop, for all tasks that take part. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// Cancelled when the process is about to stop. From then on, the readiness probe fails, and every answer asks its
    /// client to use another connection.
    pub draining: CancellationToken,
    /// Cancelled when the process stops. From then on, no connection is accepted and no background work begun.
    pub stop: CancellationToken,
    /// Cancelled when connections without a request in progress end.
    pub closing: CancellationToken,
    /// The tasks that the process waits for after that.
    pub tasks: TaskTracker,
}

/// The signal that asked for the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM, from an orchestrator that needs time to take this replica out of its load balancer.
    Terminate,
    /// SIGHUP, from a terminal that was closed, or a supervisor. Files that can change are read again without it.
    HangUp,
    /// SIGINT (Ctrl-C), from a person who waits.
    Interrupt,
}

impl StopSignal {
    /// The exit code of a command that the signal ended, as shells report it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// SIGTERM, SIGHUP and SIGINT (Ctrl-C), from the moment on at which this was made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Listens for the signals.
    ///
    /// # Errors
    /// When the process cannot.
    pub fn listen() -> io::Result<Self> {
        // With `nohup`, the process goes on.
        let hang_up = if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())?, hang_up })
    }

    /// Waits for the first of them.
    pub async fn first(mut self) -> StopSignal {
        let hung_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = hung_up => StopSignal::HangUp,
        }
    }
}

/// Whether the process was started with SIGHUP ignored, as Linux tells: the lowest bit of a mask.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
