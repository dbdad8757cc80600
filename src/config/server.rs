//! What is listened on, and what bounds each request.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::Environment;
use crate::reports::page::PageLimits;

/// What is listened on, and what bounds each request.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// `APP_HOST`: the address to listen on; default `0.0.0.0`, every interface.
    /// `APP_PORT`: the port; default `5153`, 0 for any free one.
    pub address: SocketAddr,
    /// `REQUEST_TIMEOUT`: how long a request may take, waiting included. Default `15s`.
    pub request_timeout: Duration,
    /// `READINESS_TIMEOUT`: how long the readiness probe waits for the database. Default `1s`.
    pub readiness_timeout: Duration,
    /// `SHUTDOWN_TIMEOUT`: how long requests in flight may take to finish at a stop. Default `20s`.
    pub shutdown_timeout: Duration,
    /// `PAGE_SIZE_DEFAULT` (100) and `PAGE_SIZE_MAX` (1000): rows on a page of `userVisits`.
    pub pages: PageLimits,
    /// `USAGE_LOG_INTERVAL`: how often the daily usage is logged; `off` for never. Default `30s`.
    pub usage_log_interval: Option<Duration>,
}

impl ServerConfig {
    pub(super) fn read(environment: &Environment) -> Self {
        let every_interface = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
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
            usage_log_interval,
        }
    }
}
