//! Metrics for Prometheus, and traces for an OpenTelemetry collector.

use std::net::SocketAddr;

use super::Environment;

/// Metrics for Prometheus, and traces for an OpenTelemetry collector.
#[derive(Debug, Clone)]
pub struct ObservabilityConfig {
    /// `METRICS_PORT`: the port of `/metrics`. It is not the service's own port, so that a load balancer does not
    /// expose it. Default 9153; 0 for any free port, `off` for none.
    pub metrics: Option<SocketAddr>,
    /// Whether the port was configured. The default port is not used when it is taken.
    pub metrics_required: bool,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the address of an OpenTelemetry collector, such as `http://localhost:4318`.
    /// Traces are sent to its `/v1/traces`, as protobuf over HTTP. None by default.
    pub otlp_endpoint: Option<String>,
}

impl ObservabilityConfig {
    pub(super) fn read(environment: &Environment, listening: SocketAddr) -> Self {
        let port = environment.read("METRICS_PORT", Some(9153_u16), "a port number, or off", |value| match value {
            "off" => Some(None),
            value => value.parse().ok().map(Some),
        });
        if port == Some(listening.port()) && listening.port() != 0 {
            environment.reject("METRICS_PORT", "is the same as APP_PORT; metrics need another port");
        }
        let otlp_endpoint = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT");
        if otlp_endpoint.as_ref().is_some_and(|endpoint| !endpoint.starts_with("http://")) {
            environment.reject(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "must begin with http://; send spans to a collector beside the service, which can forward them over TLS",
            );
        }
        Self {
            metrics: port.map(|port| SocketAddr::new(listening.ip(), port)),
            metrics_required: environment.get("METRICS_PORT").is_some(),
            otlp_endpoint,
        }
    }
}
