//! Admission: every request except the probes' is identified, and must be within its caller's budget.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::{
    access::{Caller, Denied, Identity, Meter},
    http::{Gateway, error::Failure, graphql_type, refused},
    metrics,
};

pub(in crate::http) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What every admitted request, and every operation on a WebSocket, costs by itself, also when the answer is cached.
pub(in crate::http) const REQUEST_COST: u64 = 100;
/// What a wrong key or access token costs its address, from a separate budget: by default, 60 a minute.
const DENIED_COST: u64 = 50_000;

/// The client's address, and what the connection may be used for.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The address of the other end: a client's or a proxy's.
    pub address: SocketAddr,
    /// What the connection may be used for.
    pub terms: Terms,
}

/// What a connection may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// All routes.
    All,
    /// Only the probes: there are too many connections.
    Crowded,
    /// Only the probes: the connection is not encrypted, and the port uses TLS.
    Plain,
}

/// The caller who sent a request, and the meter of the caller's budget.
#[derive(Debug, Clone)]
pub(in crate::http) struct Client {
    pub(in crate::http) caller: Caller,
    pub(in crate::http) meter: Meter,
    /// The address that the request came from; none without a connection, as in tests.
    address: Option<IpAddr>,
}

impl Client {
    /// The client of the same connection, identified by a credential that arrived later.
    pub(in crate::http) async fn identified(
        &self,
        gateway: &Gateway,
        credential: Option<&str>,
    ) -> Result<Self, Failure> {
        Self::of(gateway, self.address, credential).await
    }

    async fn of(gateway: &Gateway, address: Option<IpAddr>, credential: Option<&str>) -> Result<Self, Failure> {
        let caller = check(gateway, address, credential).await?;
        let meter = match &caller.identity {
            Identity::Anonymous => gateway.rate.meter(("address", address)),
            Identity::Key { name, .. } => gateway.rate.meter(("key", name)),
            Identity::Token { subject, .. } => gateway.rate.meter(("token", subject)),
        };
        Ok(Self { caller, meter, address })
    }

    /// The address that the client's requests count for.
    pub(in crate::http) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The caller alone, for an answer that several clients share: another meter pays for it, and no address.
    pub(in crate::http) fn shared(&self, meter: Meter) -> Self {
        Self { meter, address: None, caller: self.caller.clone() }
    }

    /// Starts a request or an operation: fails when the budget is used up, and charges [`REQUEST_COST`] otherwise.
    pub(in crate::http) fn begin(&self) -> Result<(), Failure> {
        if let Some(wait) = self.meter.wait() {
            // Rounded up to full seconds.
            return Err(Failure::RateLimited(wait.as_secs() + 1));
        }
        self.meter.charge(REQUEST_COST);
        Ok(())
    }
}

/// Passes a request on with its [`Client`], or refuses it.
pub(in crate::http) async fn admit(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>().copied();
    let admitted = match peer.map(|peer| peer.terms) {
        Some(Terms::Crowded) => Err(Failure::Overloaded),
        Some(Terms::Plain) => Err(Failure::NotEncrypted),
        Some(Terms::All) | None => identify(&gateway, peer, &parts.headers).await,
    };
    let mut request = Request::from_parts(parts, body);
    let admitted = admitted.and_then(|client| client.begin().map(|()| client));
    match admitted {
        Ok(client) => {
            let identity = client.caller.identity.clone();
            request.extensions_mut().insert(client);
            let mut response = next.run(request).await;
            response.extensions_mut().insert(identity);
            response
        }
        Err(failure) => {
            metrics::request_refused(failure.reason());
            refused(&gateway, graphql_type(&request), &failure)
        }
    }
}

async fn identify(gateway: &Gateway, peer: Option<Peer>, headers: &HeaderMap) -> Result<Client, Failure> {
    let address = peer.map(|peer| network(address(peer.address.ip(), headers, gateway.proxy_hops)));
    let credential = credential(headers).map_err(|denied| Failure::from(&denied))?;
    Client::of(gateway, address, credential).await
}

/// The caller who has the credential. Wrong credentials are rate-limited, so that guessing is slow.
async fn check(gateway: &Gateway, address: Option<IpAddr>, credential: Option<&str>) -> Result<Caller, Failure> {
    let guesses = gateway.rate.meter(("denied", address));
    if credential.is_some()
        && let Some(wait) = guesses.wait()
    {
        return Err(Failure::RateLimited(wait.as_secs() + 1));
    }
    gateway.authenticator.caller(credential).await.map_err(|denied| {
        // An identity provider that cannot be reached is not a wrong guess.
        if matches!(denied, Denied::Invalid(_)) {
            guesses.charge(DENIED_COST);
        }
        Failure::from(&denied)
    })
}

/// The API key or the access token of a request.
pub(in crate::http) fn credential(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let bearers = headers.get_all(header::AUTHORIZATION).iter().filter_map(bearer);
    let keys = headers.get_all(API_KEY).iter().map(|key| key.to_str().unwrap_or_default().trim());
    let mut all = bearers.chain(keys);
    let first = all.next();
    if all.next().is_some() { Err(Denied::Invalid("Send one API key or one token.")) } else { Ok(first) }
}

/// The token of the scheme `Bearer`. Other schemes are ignored: they may be meant for a proxy.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The client's address. Each proxy appends the address of its own client to `X-Forwarded-For`; with `hops` trusted
/// proxies, the client's address is the entry that is `hops` from the end. Earlier entries are not trusted, because the
/// client can write anything there.
fn address(peer: IpAddr, headers: &HeaderMap, hops: usize) -> IpAddr {
    let entries = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let entries: Vec<_> = entries.flat_map(|value| value.split(',')).map(str::trim).collect();
    let found = entries.len().checked_sub(hops).filter(|_| hops > 0).and_then(|at| entries.get(at));
    found.and_then(|entry| parsed(entry)).unwrap_or(peer)
}

fn parsed(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(with_port)
}

/// The network that one customer of a provider has: the address in IPv4, the upper 64 bits in IPv6.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_who_asks() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let cases: [(&[&str], usize, &str); 9] = [
            (&[], 0, "10.0.0.1"),
            (&["203.0.113.7"], 0, "10.0.0.1"),
            (&["203.0.113.7"], 1, "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7"], 1, "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7", "10.0.0.9"], 2, "203.0.113.7"),
            (&["203.0.113.7"], 2, "10.0.0.1"),
            (&["unknown"], 1, "10.0.0.1"),
            (&["203.0.113.7:4711"], 1, "203.0.113.7"),
            (&["[2001:db8::1]"], 1, "2001:db8::1"),
        ];
        for (forwarded, hops, expected) in cases {
            let headers = forwarded.iter().map(|value| (FORWARDED_FOR, value.parse().unwrap())).collect();
            assert_eq!(address(peer, &headers, hops), expected.parse::<IpAddr>().unwrap(), "{forwarded:?} {hops}");
        }
    }

    #[test]
    fn a_customer_of_ipv6_has_one_budget() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:203.0.113.7"), of("203.0.113.7"));
    }

    #[test]
    fn credentials_are_bearers_or_keys_and_one_alone() {
        let read = |given: &[(&str, &str)]| {
            let headers: HeaderMap = given
                .iter()
                .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            credential(&headers).map(|found| found.map(ToOwned::to_owned))
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("authorization", "Bearer one")]), Ok(Some("one".to_owned())));
        assert_eq!(read(&[("authorization", "bearer  one ")]), Ok(Some("one".to_owned())));
        assert_eq!(read(&[("x-api-key", "one")]), Ok(Some("one".to_owned())));
        assert_eq!(read(&[("authorization", "Basic b25lOm9uZQ==")]), Ok(None));
        assert!(read(&[("authorization", "Bearer one"), ("x-api-key", "one")]).is_err());
        assert!(read(&[("authorization", "Bearer one"), ("authorization", "Bearer two")]).is_err());
    }
}
