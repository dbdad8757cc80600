//! Metrics for Prometheus. All metrics and labels are named here. Callers cannot choose a label's value, so the number
//! of time series is bounded.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

/// Bounds of histogram buckets, in seconds. They distinguish 1 ms from 2 ms, and 5 s from 10 s.
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

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
    process: Collector,
}

impl Metrics {
    /// Starts recording. Must be called only once.
    ///
    /// # Errors
    /// When this process has a recorder already.
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

    /// All metrics, in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        self.recorder.render()
    }

    /// Moves new observations into the histograms, so that memory stays bounded when nobody reads the metrics.
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

/// Counts in a gauge until it is dropped.
#[must_use]
pub struct Counted(Gauge);

impl Counted {
    fn begin(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }

    /// Counts a request that is in progress.
    pub fn request() -> Self {
        Self::begin(gauge!(IN_FLIGHT))
    }

    /// Counts a WebSocket or an event stream.
    pub fn live_connection(transport: &'static str) -> Self {
        Self::begin(gauge!(LIVE_CONNECTIONS, "transport" => transport))
    }

    /// Counts a subscription.
    pub fn subscription() -> Self {
        Self::begin(gauge!(SUBSCRIBERS))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Sets the number of different questions among the subscriptions.
pub fn questions_followed(questions: usize) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!(FOLLOWED).set(questions as f64);
}

/// Counts an answered request. `route` is the matched pattern, never the path.
pub fn request_answered(route: &str, method: &str, status: u16, took: Duration) {
    let method = match method {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "other",
    };
    ROUTES.with_borrow_mut(|routes| {
        if !routes.contains_key(route) {
            let seconds = histogram!(REQUEST_SECONDS, "route" => route.to_owned());
            routes.insert(route.to_owned(), Route { seconds, requests: HashMap::new() });
        }
        let Some(answered) = routes.get_mut(route) else { return };
        answered.seconds.record(took);
        let labelled =
            || counter!(REQUESTS, "route" => route.to_owned(), "method" => method, "status" => status.to_string());
        answered.requests.entry((method, status)).or_insert_with(labelled).increment(1);
    });
}

/// The metrics of a route, by method and status.
struct Route {
    seconds: Histogram,
    requests: HashMap<(&'static str, u16), Counter>,
}

thread_local! {
    /// What would take longer to find than to change. There are as many as patterns of routes.
    static ROUTES: RefCell<HashMap<String, Route>> = RefCell::default();
}

/// Counts a GraphQL request that was executed or refused.
pub fn graphql_answered(kind: &'static str, code: &'static str) {
    counter!(OPERATIONS, "kind" => kind, "code" => code).increment(1);
}

/// Counts a request for an answer that may be cached, by `outcome`: `hit`, `miss` or `bypass`.
pub fn answer_found(outcome: &'static str) {
    counter!(ANSWERS, "outcome" => outcome).increment(1);
}

/// Sets the size of the cached answers, in bytes.
pub fn answers_kept(bytes: u64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    gauge!(ANSWER_BYTES).set(bytes as f64);
}

/// Counts a check of the data's version.
pub fn version_checked(succeeded: bool) {
    counter!(VERSION_CHECKS, "outcome" => if succeeded { "ok" } else { "failed" }).increment(1);
}

/// Counts a refresh of the rollup; if it succeeded, sets the number of rows left in its log.
pub fn rollup_refreshed(succeeded: bool, log_rows: i64) {
    job_ran("rollup", succeeded);
    if succeeded {
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        gauge!(ROLLUP_LOG).set(log_rows as f64);
    }
}

/// Counts places where the rollup differed from the door codes.
pub fn rollup_differed(places: usize) {
    counter!(ROLLUP_DIFFERENCES).increment(u64::try_from(places).unwrap_or(u64::MAX));
}

/// Counts a report, and records how long it took.
pub fn report_made(report: &'static str, outcome: &'static str, took: Duration) {
    counter!(REPORTS, "report" => report, "outcome" => outcome).increment(1);
    histogram!(REPORT_SECONDS, "report" => report).record(took);
}

/// Counts a request or a connection that was refused.
pub fn request_refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

/// Counts a run of a background job.
pub fn job_ran(task: &'static str, succeeded: bool) {
    counter!(JOBS, "task" => task, "outcome" => if succeeded { "ok" } else { "failed" }).increment(1);
}

/// Sets the result of the last readiness check.
pub fn readiness(ready: bool) {
    gauge!(READY).set(f64::from(u8::from(ready)));
}

/// Sets today's numbers, in UTC.
#[expect(clippy::cast_precision_loss, reason = "counts of one day")]
pub fn today(visits: i64, tokens_issued: i64) {
    gauge!(VISITS_TODAY).set(visits as f64);
    gauge!(ISSUED_TODAY).set(tokens_issued as f64);
}

/// Sets the state of the connection pool.
pub fn pool(used: u32, idle: u32, waiting: u32, max: u32) {
    gauge!(CONNECTIONS, "state" => "used").set(used);
    gauge!(CONNECTIONS, "state" => "idle").set(idle);
    gauge!(WAITING).set(waiting);
    gauge!(MAX_CONNECTIONS).set(max);
}
