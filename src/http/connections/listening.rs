//! Listens, by default for both versions of IP.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustix::{io::Errno, net::sockopt::set_ipv6_v6only};
use tokio::net::{TcpListener, TcpSocket};
use tracing::info;

/// The most connections that wait until they are accepted.
const BACKLOG: u32 = 1024;

/// Listens on the address. `::` is every interface, for IPv4 and IPv6 whatever the system's default is; for IPv4 alone
/// where the system has no IPv6.
///
/// # Errors
/// When the port is taken, or this user may not listen on it.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let every = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
    match listen(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => {
            info!(port = address.port(), "listening for IPv4 alone: the system has no IPv6");
            listen(every)
        }
        listener => listener,
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // Without it, connections of a process that ended would keep the port for a while.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, false)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn lacks_ipv6(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL].iter().any(|none| error.raw_os_error() == Some(none.raw_os_error()))
}
