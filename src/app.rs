//! Starts the service (database, reports, jobs, router), and stops it again.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::FutureExt as _;
use sea_orm::DbErr;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{info, warn};

use crate::{
    clock::Clock,
    config::{
        Config,
        database::{DatabaseConfig, DatabaseTarget},
        server::ServerConfig,
    },
    database::{Access, Database, ELSEWHERE, Failure},
    http::{
        self, Gateway, GatewayError,
        connections::{
            files, listening, serving,
            tls::{self, TlsError},
        },
    },
    jobs::{fold_metrics, rollup, usage_log},
    metrics::Metrics,
    reports::{self, Defaults, Reports},
    seed::{self, SeedError, Size},
    shutdown::{Ending, Signals, StopSignal},
};

/// How long requests are accepted after SIGTERM. Readiness already fails in that time, so that load balancers find out
/// before connections are refused.
pub const DRAIN: Duration = Duration::from_secs(3);

/// How long connections without a request stay open after that. A connection on which a request comes ends with its
/// answer; closing it earlier would lose a request that is on its way.
const PAUSE: Duration = Duration::from_secs(5);

/// Why the service ended, or could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is in use, or this user may not listen on it.
    #[error("cannot listen on {0}: {2}; is another instance running, or {1} wrong?")]
    Listen(SocketAddr, &'static str, #[source] io::Error),
    /// The persisted documents, the API keys, or the certificate authorities for the identity provider cannot be read.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Metrics cannot be recorded.
    #[error("cannot count metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] Failure),
    /// The folder of the embedded database cannot be created.
    #[error("cannot make the folder `{0}` for the sample database: {1}; {ELSEWHERE}")]
    Folder(PathBuf, #[source] io::Error),
    /// The process cannot listen for signals, or accept connections.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
}

/// Serves until the process is asked to stop, then lets running requests finish.
///
/// # Errors
/// When the service cannot start.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let clock = Clock::system();
    let signals = Signals::listen()?;
    // Listens before anything is created, so that a taken port is reported at once and leaves nothing behind.
    let address = config.server.address;
    let listener = listening::bind(address).map_err(|error| ServeError::Listen(address, "APP_PORT", error))?;
    let metrics_listener = match config.observability.metrics {
        Some(address) => listen_for_metrics(address, config.observability.metrics_required)
            .map_err(|error| ServeError::Listen(address, "METRICS_PORT", error))?,
        None => None,
    };
    let certificate = config.server.tls.as_ref().map(tls::read).transpose()?;
    let target = &config.database.target;
    let failure = |error| Failure::new(target, error);
    if let DatabaseTarget::Embedded(path) = target {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| ServeError::Folder(folder.to_owned(), error))?;
        }
        prepare_embedded(&config.database, path, &clock).await.map_err(failure)?;
    }
    // Two more connections look for changes and keep the rollup.
    let sessions = usize::try_from(config.database.max_connections).unwrap_or(usize::MAX) + 2;
    let max_connections = files::raise(config.server.max_connections, sessions);
    let database = Database::connect(&config.database, Access::Report).await.map_err(failure)?;
    let defaults = Defaults::of(&config.reports);
    let reports = Reports::new(database.clone(), clock).with_defaults(defaults).with_notes(&config.space.notes);
    let maintenance = maintenance(&config.database).await.map_err(failure)?;
    let ending = Ending::default();
    let Ending { draining, stop, closing, tasks: jobs } = ending.clone();
    let gateway = Gateway::new(reports.clone(), &config, ending.clone())?;
    if config.graphql.persisted_documents.is_some() {
        info!(documents = gateway.documents.count(), only = config.graphql.persisted_only, "trusted documents read");
    }
    // Starts metrics before everything that counts, since earlier counts would be lost.
    if let Some(listener) = metrics_listener {
        info!(address = %listener.local_addr()?, "metrics at /metrics");
        let metrics = Metrics::install()?;
        jobs.spawn(fold_metrics::run(metrics.clone(), stop.clone()));
        let server = axum::serve(listener, http::ops::metrics::router(metrics, database.clone()));
        jobs.spawn(server.with_graceful_shutdown(stop.clone().cancelled_owned()).into_future().map(drop));
    }
    jobs.spawn(gateway.authenticator.clone().keep_current(ending.clone()));
    let certificate = config.server.tls.clone().zip(certificate).map(|(files, certificate)| {
        let (sender, receiver) = watch::channel(certificate);
        jobs.spawn(tls::keep_current(files, sender, stop.clone()));
        receiver
    });
    jobs.spawn(look_at_database(database, reports.clone()));
    if let Some(period) = config.server.usage_log_interval {
        jobs.spawn(usage_log::run(reports.clone(), period, stop.clone()));
    }
    if let Some(maintenance) = maintenance {
        jobs.spawn(rollup::run(reports, maintenance, config.database.rollup_refresh_interval, stop.clone()));
    }
    jobs.close();
    let router = http::router(gateway);
    announce(listener.local_addr()?, &config.database.target, certificate.is_some());

    let server = ServerConfig { max_connections, ..config.server.clone() };
    // The other end of a connection is a client unless there are proxies.
    let counts_addresses = config.access.proxy_hops == 0;
    let mut server = tokio::spawn(async move {
        serving::serve(listener, router, &server, counts_addresses, certificate, ending).await;
    });
    let signal = signals.first().await;
    draining.cancel();
    info!(?signal, "stopping: readiness fails from now on");
    let is_awaited = signal == StopSignal::Interrupt;
    if !is_awaited {
        sleep(DRAIN).await;
    }
    stop.cancel();
    let pause = if is_awaited { Duration::ZERO } else { PAUSE };
    let close = async {
        sleep(pause.min(config.server.shutdown_timeout / 2)).await;
        closing.cancel();
    };
    let drained = timeout(config.server.shutdown_timeout, async {
        let ((), drained) = tokio::join!(jobs.wait(), async {
            tokio::select! {
                drained = &mut server => drained,
                () = close => server.await,
            }
        });
        drained
    });
    match drained.await {
        Ok(_) => info!("stopped: every request was answered"),
        Err(_) => {
            warn!(timeout = ?config.server.shutdown_timeout, "stopped: requests that took longer than SHUTDOWN_TIMEOUT were cut off");
        }
    }
    Ok(())
}

/// The connection that keeps the rollup up to date; `None` when rollups are off.
async fn maintenance(config: &DatabaseConfig) -> Result<Option<Database>, DbErr> {
    if !config.rollups {
        return Ok(None);
    }
    Database::connect(&DatabaseConfig { max_connections: 1, ..config.clone() }, Access::Keep).await.map(Some)
}

/// Checks the database while the first requests run, since the service starts without waiting for it.
async fn look_at_database(database: Database, reports: Reports) {
    if database.reach().await
        && let Err(error) = reports.check().await
    {
        warn!(error = error.in_full(), "database not readable yet: readiness fails until it is");
    }
}

/// A taken port is an error only if it was configured; the default port is then not used.
fn listen_for_metrics(address: SocketAddr, is_required: bool) -> io::Result<Option<TcpListener>> {
    match listening::bind(address) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if is_required => Err(error),
        Err(error) => {
            warn!(%address, %error, "no metrics: the default METRICS_PORT is taken");
            Ok(None)
        }
    }
}

/// Creates and migrates the embedded database, and fills it with sample data when it is new. It has a rollup unless
/// rollups are off.
async fn prepare_embedded(config: &DatabaseConfig, path: &Path, clock: &Clock) -> Result<(), DbErr> {
    let database = Database::connect(config, Access::Maintain).await?;
    migration::up(database.connection()).await?;
    match seed::fill(&database, Size::SAMPLE, clock.now(), false).await {
        Ok(()) => info!(path = %path.display(), "sample database created, with invented members"),
        Err(SeedError::NotEmpty) => {}
        Err(SeedError::Database(error)) => return Err(error),
    }
    if config.rollups && reports::rollup::status(database.connection()).await?.is_none() {
        reports::rollup::create(database.connection(), Duration::ZERO).await?;
    }
    database.connection().close_by_ref().await
}

fn announce(address: SocketAddr, target: &DatabaseTarget, is_encrypted: bool) {
    let host = if address.ip().is_unspecified() { "localhost".to_owned() } else { address.ip().to_string() };
    let scheme = if is_encrypted { "https" } else { "http" };
    let base = format!("{scheme}://{host}:{}", address.port());
    let database = match target {
        DatabaseTarget::Embedded(_) => "embedded SQLite with sample data",
        DatabaseTarget::Sqlite(_) => "SQLite",
        DatabaseTarget::Postgres(_) => "PostgreSQL",
    };
    info!(
        database,
        dashboard = format!("{base}/"),
        graphiql = format!("{base}/graphiql"),
        graphql = format!("{base}/graphql"),
        daily_usage = format!("{base}/api/reports/daily_usage"),
        user_visits = format!("{base}/api/reports/user_visits"),
        "serving"
    );
}
