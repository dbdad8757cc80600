//! Where the service listens, and the limits of each request.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{Environment, limits::PageLimits};

/// Where the service listens, and the limits of each request.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// `APP_HOST`: the address to listen on. Default `::`, every interface, for IPv4 and IPv6.
    /// `APP_PORT`: the port. Default `5153`; 0 for any free port.
    pub address: SocketAddr,
    /// `REQUEST_TIMEOUT`: how long a request may take, including waiting. Default `15s`.
    pub request_timeout: Duration,
    /// `READINESS_TIMEOUT`: how long the readiness probe waits for the database. Default `1s`.
    pub readiness_timeout: Duration,
    /// `SHUTDOWN_TIMEOUT`: how long running requests may take to finish when the service stops. Default `20s`.
    pub shutdown_timeout: Duration,
    /// `PAGE_SIZE_DEFAULT` (100) and `PAGE_SIZE_MAX` (1000): rows on a page of `userVisits`, by default and at most.
    pub pages: PageLimits,
    /// `MAX_CONNECTIONS`: connections at once. When there are more, only probes are answered. Default `4000`, which fit
    /// into 256 MiB with everything else: an idle connection takes 7 to 35 KiB.
    pub max_connections: usize,
    /// `MAX_ADDRESS_PERCENT`: how much of the connections, live connections and answers computed at once one address
    /// may have, in percent; 100 for no limit. Connections of proxies are not counted (`TRUSTED_PROXY_HOPS`). Default
    /// `25`.
    pub address_percent: usize,
    /// `MAX_REQUESTS`: answers computed at once. When there are more, requests are refused. Default `256`.
    pub max_requests: usize,
    /// `MAX_IN_FLIGHT_BYTES`: memory for request bodies being received, and for large answers being sent. Default
    /// `67108864`.
    pub in_flight_bytes: usize,
    /// `HEADER_TIMEOUT`: how long the head of a request, or a TLS handshake, may take. Default `10s`.
    pub header_timeout: Duration,
    /// `BODY_TIMEOUT`: how long the body of a request may take. Default `10s`.
    pub body_timeout: Duration,
    /// `SEND_TIMEOUT`: how long a client may read nothing of an answer. Default `20s`.
    pub send_timeout: Duration,
    /// `KEEP_ALIVE_TIMEOUT`: how long a connection may be idle. It should be longer than the load balancer's idle
    /// timeout. Default `75s`.
    pub keep_alive_timeout: Duration,
    /// `MAX_CONNECTION_AGE`: after this time, give or take a tenth, a client is asked to open another connection, so
    /// that new replicas get their share of the load. Default `5m`.
    pub connection_age: Duration,
    /// `MAX_CONNECTION_REQUESTS`: the same after this number of requests. Default `10000`.
    pub connection_requests: usize,
    /// `TLS_CERT_FILE` and `TLS_KEY_FILE`, if the service itself uses TLS.
    pub tls: Option<TlsConfig>,
    /// `USAGE_LOG_INTERVAL`: how often the numbers of today and yesterday are logged; `off` for never. Default `30s`.
    pub usage_log_interval: Option<Duration>,
}

/// The files for TLS.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// `TLS_CERT_FILE`: the certificate chain, in PEM; read again when it changes.
    pub certificate: PathBuf,
    /// `TLS_KEY_FILE`: the private key, in PEM.
    pub key: PathBuf,
}

impl TlsConfig {
    fn read(environment: &Environment) -> Option<Self> {
        let [certificate, key] = ["TLS_CERT_FILE", "TLS_KEY_FILE"].map(|name| environment.get(name));
        match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Self { certificate: certificate.into(), key: key.into() }),
            (None, None) => None,
            (Some(_), None) => {
                environment.reject("TLS_KEY_FILE", "is needed with TLS_CERT_FILE");
                None
            }
            (None, Some(_)) => {
                environment.reject("TLS_CERT_FILE", "is needed with TLS_KEY_FILE");
                None
            }
        }
    }
}

impl ServerConfig {
    pub(super) fn read(environment: &Environment) -> Self {
        let every_interface = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let host =
            environment.read("APP_HOST", every_interface, "an IP address to listen on", |value| value.parse().ok());
        let port = environment.number("APP_PORT", 5153_u16, 0, u16::MAX);
        let max = environment.number("PAGE_SIZE_MAX", 1_000_usize, 1, 10_000);
        let default = environment.number("PAGE_SIZE_DEFAULT", 100.min(max), 1, max);
        let expected = "a duration such as \"30s\", or off";
        let usage_log_interval =
            environment.read("USAGE_LOG_INTERVAL", Some(Duration::from_secs(30)), expected, |value| match value {
                "off" | "0" => Some(None),
                value => humantime::parse_duration(value)
                    .ok()
                    .filter(|interval| *interval >= Duration::from_secs(1))
                    .map(Some),
            });
        Self {
            address: SocketAddr::new(host, port),
            request_timeout: environment.duration("REQUEST_TIMEOUT", Duration::from_secs(15)),
            readiness_timeout: environment.duration("READINESS_TIMEOUT", Duration::from_secs(1)),
            shutdown_timeout: environment.duration("SHUTDOWN_TIMEOUT", Duration::from_secs(20)),
            pages: PageLimits { default, max },
            max_connections: environment.number("MAX_CONNECTIONS", 4_000, 1, 1_000_000),
            address_percent: environment.number("MAX_ADDRESS_PERCENT", 25, 1, 100),
            max_requests: environment.number("MAX_REQUESTS", 256, 1, 100_000),
            in_flight_bytes: environment.number("MAX_IN_FLIGHT_BYTES", 64 << 20, 1 << 20, 1 << 32),
            header_timeout: environment.duration("HEADER_TIMEOUT", Duration::from_secs(10)),
            body_timeout: environment.duration("BODY_TIMEOUT", Duration::from_secs(10)),
            send_timeout: environment.duration("SEND_TIMEOUT", Duration::from_secs(20)),
            keep_alive_timeout: environment.duration("KEEP_ALIVE_TIMEOUT", Duration::from_secs(75)),
            connection_age: environment.duration("MAX_CONNECTION_AGE", Duration::from_mins(5)),
            connection_requests: environment.number("MAX_CONNECTION_REQUESTS", 10_000, 1, 1_000_000_000),
            tls: TlsConfig::read(environment),
            usage_log_interval,
        }
    }
}
