//! What the gateway counts, for Prometheus. Every metric and every label is named here, and no label
//! holds what a stranger can write: cardinality is bounded by the code.

use std::time::Duration;

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// Bounds that tell 1 ms from 2, and 5 s from 10.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const REQUESTS: &str = "coworking_http_requests_total";
const REFUSED: &str = "coworking_http_refused_total";
const REQUEST_SECONDS: &str = "coworking_http_request_duration_seconds";
const IN_FLIGHT: &str = "coworking_http_requests_in_flight";
const OPERATIONS: &str = "coworking_graphql_requests_total";
const REPORTS: &str = "coworking_report_executions_total";
const REPORT_SECONDS: &str = "coworking_report_duration_seconds";
const CONNECTIONS: &str = "coworking_db_pool_connections";
const MAX_CONNECTIONS: &str = "coworking_db_pool_max_connections";
const WAITING: &str = "coworking_db_pool_waiting";
const JOBS: &str = "coworking_job_runs_total";
const READY: &str = "coworking_ready";
const VISITS_TODAY: &str = "coworking_visits_today";
const ISSUED_TODAY: &str = "coworking_tokens_issued_today";
const ROLLUP_LOG: &str = "coworking_rollup_log_rows";
const ROLLUP_DIFFERENCES: &str = "coworking_rollup_differences_total";
const ANSWERS: &str = "coworking_answer_cache_requests_total";
const ANSWER_BYTES: &str = "coworking_answer_cache_bytes";
const VERSION_CHECKS: &str = "coworking_version_checks_total";
const LIVE_CONNECTIONS: &str = "coworking_live_connections";
const SUBSCRIBERS: &str = "coworking_subscriptions";
const FOLLOWED: &str = "coworking_live_questions";
const BUILD: &str = "coworking_build_info";

/// Where everything is counted, and read from.
#[derive(Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// Starts counting; to be called once.
    ///
    /// # Errors
    /// When something in this process counts already.
    pub fn install() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .install_recorder()?;
        describe();
        let revision = option_env!("REVISION").unwrap_or("unknown");
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION"), "revision" => revision).set(1);
        let process = Collector::default();
        process.describe();
        Ok(Self { recorder, process })
    }

    /// Everything that was counted, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        self.recorder.render()
    }

    /// Folds what was observed since the last time into the histograms, so that memory stays bounded
    /// while nobody reads them.
    pub fn fold(&self) {
        self.recorder.run_upkeep();
    }
}

fn describe() {
    describe_counter!(REQUESTS, "HTTP requests answered, by route, method and status.");
    describe_counter!(REFUSED, "Requests and connections that were not let in, by reason.");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "Time from a request's arrival to its answer, by route.");
    describe_gauge!(IN_FLIGHT, "HTTP requests being worked on.");
    describe_counter!(OPERATIONS, "GraphQL requests executed, by kind of operation and error code (OK without one).");
    describe_counter!(REPORTS, "Reports made, by report and outcome.");
    describe_histogram!(REPORT_SECONDS, Unit::Seconds, "Time that a report took, its wait for a connection included.");
    describe_gauge!(CONNECTIONS, "Database connections open, by state.");
    describe_gauge!(MAX_CONNECTIONS, "Database connections that may be open at once.");
    describe_gauge!(WAITING, "Statements that wait for a database connection.");
    describe_counter!(JOBS, "Runs of background jobs, by task (Prometheus has a `job` of its own) and outcome.");
    describe_gauge!(READY, "1 when the last readiness check passed, else 0.");
    describe_gauge!(VISITS_TODAY, "Tokens used today, of those issued today, in UTC.");
    describe_gauge!(ISSUED_TODAY, "Tokens issued today, in UTC.");
    describe_counter!(ANSWERS, "Requests for answers that may be kept, by whether one was (hit, miss, or bypass).");
    describe_gauge!(ANSWER_BYTES, Unit::Bytes, "Answers that are kept, in bytes.");
    describe_counter!(
        VERSION_CHECKS,
        "Look-ups whether the data changed, each for all requests that wait, by outcome."
    );
    describe_counter!(ROLLUP_DIFFERENCES, "Places of the rollup that were found not to be what the tokens say.");
    describe_gauge!(ROLLUP_LOG, "Stretches of time, and members, that the rollup has yet to count anew.");
    describe_gauge!(LIVE_CONNECTIONS, "WebSockets and event streams that are open, by transport.");
    describe_gauge!(SUBSCRIBERS, "Subscriptions that are followed.");
    describe_gauge!(FOLLOWED, "Different questions among the subscriptions: each is computed once a change.");
    describe_gauge!(BUILD, "1, labelled with the version and revision that run.");
}

/// One of those that a gauge counts, until it is dropped.
#[must_use]
pub struct Counted(Gauge);

impl Counted {
    fn begin(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }

    /// A request that is being worked on.
    pub fn request() -> Self {
        Self::begin(gauge!(IN_FLIGHT))
    }

    /// A WebSocket or an event stream.
    pub fn live_connection(transport: &'static str) -> Self {
        Self::begin(gauge!(LIVE_CONNECTIONS, "transport" => transport))
    }

    /// A subscription.
    pub fn subscription() -> Self {
        Self::begin(gauge!(SUBSCRIBERS))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// So many different questions are followed.
pub fn questions_followed(questions: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!(FOLLOWED).set(questions as f64);
}

/// A request was answered. `route` is the pattern that matched, never the path.
pub fn request_answered(route: &str, method: &str, status: u16, took: Duration) {
    let method = match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "other",
    };
    counter!(REQUESTS, "route" => route.to_owned(), "method" => method, "status" => status.to_string()).increment(1);
    histogram!(REQUEST_SECONDS, "route" => route.to_owned()).record(took);
}

/// A GraphQL request was executed, or refused.
pub fn graphql_answered(kind: &'static str, code: &'static str) {
    counter!(OPERATIONS, "kind" => kind, "code" => code).increment(1);
}

/// An answer was kept, or had to be computed.
pub fn answer_found(outcome: &'static str) {
    counter!(ANSWERS, "outcome" => outcome).increment(1);
}

/// So many bytes of answers are kept.
pub fn answers_kept(bytes: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!(ANSWER_BYTES).set(bytes as f64);
}

/// Whether the data changed was looked up, or that failed.
pub fn version_checked(succeeded: bool) {
    counter!(VERSION_CHECKS, "outcome" => if succeeded { "ok" } else { "failed" }).increment(1);
}

/// The rollup was refreshed, or that failed; so many rows are left in its log.
pub fn rollup_refreshed(succeeded: bool, log_rows: i64) {
    job_ran("rollup", succeeded);
    if succeeded {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        gauge!(ROLLUP_LOG).set(log_rows as f64);
    }
}

/// So many places of the rollup were not what the tokens say.
pub fn rollup_differed(places: usize) {
    counter!(ROLLUP_DIFFERENCES).increment(u64::try_from(places).unwrap_or(u64::MAX));
}

/// A report was made, or failed.
pub fn report_made(report: &'static str, outcome: &'static str, took: Duration) {
    counter!(REPORTS, "report" => report, "outcome" => outcome).increment(1);
    histogram!(REPORT_SECONDS, "report" => report).record(took);
}

/// A request, or a connection, was not let in.
pub fn request_refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

/// A background job ran.
pub fn job_ran(task: &'static str, succeeded: bool) {
    counter!(JOBS, "task" => task, "outcome" => if succeeded { "ok" } else { "failed" }).increment(1);
}

/// Readiness was asked for.
pub fn readiness(ready: bool) {
    gauge!(READY).set(f64::from(u8::from(ready)));
}

/// How today goes.
#[expect(clippy::cast_precision_loss, reason = "counts of one day")]
pub fn today(visits: i64, tokens_issued: i64) {
    gauge!(VISITS_TODAY).set(visits as f64);
    gauge!(ISSUED_TODAY).set(tokens_issued as f64);
}

/// The state of the connection pool.
pub fn pool(used: u32, idle: u32, waiting: u32, max: u32) {
    gauge!(CONNECTIONS, "state" => "used").set(used);
    gauge!(CONNECTIONS, "state" => "idle").set(idle);
    gauge!(WAITING).set(waiting);
    gauge!(MAX_CONNECTIONS).set(max);
}
