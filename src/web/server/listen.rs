//! Binds the listen addresses. All are bound before anything starts, so that errors show at once.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

use crate::web::Settings;

/// Connections that the kernel queues until they are accepted. The usual maximum of Linux is 4096;
/// there are never that many scrapers at once.
const BACKLOG: i32 = 1024;

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
}

impl Listener {
    /// The address, with the actual port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn socket(&self) -> &TcpListener {
        &self.socket
    }

    fn new(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local })
    }
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not of the form `host:port` or `:port`.
    #[error("--web.listen-address: {address:?} is not of the form host:port or :port")]
    Malformed {
        /// The address as configured.
        address: String,
    },
    /// The host name could not be resolved.
    #[error("cannot listen on {address}: its host cannot be resolved: {source}")]
    Resolve {
        /// The address as configured.
        address: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// Another process, or another address of this configuration, uses it.
    #[error(
        "cannot listen on {address}: address already in use; is another exporter running? \
         choose another with --web.listen-address"
    )]
    InUse {
        /// The address as configured.
        address: String,
    },
    /// The operating system refused it for another reason.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// The address as configured.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// No address is configured.
    #[error("there is no address to listen on; give one with --web.listen-address")]
    NoAddress,
    /// The sockets from systemd are missing or unusable.
    #[error("--web.systemd-socket: {problem}")]
    Systemd {
        /// What is wrong with them.
        problem: String,
    },
}

/// Binds all configured addresses, or none. `:port` means every address of this host, IPv4 and
/// IPv6. For a name with several addresses, binds the first, IPv4 before IPv6.
pub async fn bind(settings: &Settings) -> Result<Vec<Listener>, ListenError> {
    if settings.systemd_socket {
        return from_systemd();
    }
    let mut listeners = Vec::with_capacity(settings.listen.len());
    for address in &settings.listen {
        listeners.push(bind_one(address).await?);
    }
    if listeners.is_empty() {
        return Err(ListenError::NoAddress);
    }
    Ok(listeners)
}

async fn bind_one(address: &str) -> Result<Listener, ListenError> {
    let parsed = parse(address).ok_or_else(|| ListenError::Malformed {
        address: address.to_owned(),
    })?;
    let bound = match parsed {
        Address::Every(port) => listen_everywhere(port),
        Address::Host(host, port) => {
            let mut found: Vec<_> = lookup_host((host, port))
                .await
                .map_err(|source| ListenError::Resolve {
                    address: address.to_owned(),
                    source,
                })?
                .collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            match found.first() {
                Some(&first) => listen(first),
                None => Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    "the host has no address",
                )),
            }
        }
    };
    bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse {
            address: address.to_owned(),
        },
        _ => ListenError::Refused {
            address: address.to_owned(),
            source,
        },
    })
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) enum Address<'a> {
    Every(u16),
    Host(&'a str, u16),
}

pub(in crate::web) fn parse(address: &str) -> Option<Address<'_>> {
    let (host, port) = address.rsplit_once(':')?;
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok()?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|ip| ip.contains(':'))?,
        None if host.contains([':', ']']) => return None,
        None => host,
    };
    Some(match host {
        "" => Address::Every(port),
        host => Address::Host(host, port),
    })
}

/// An IPv6 socket that also accepts IPv4, or an IPv4 socket if the host has no IPv6.
fn listen_everywhere(port: u16) -> io::Result<Listener> {
    match listen(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
        }
        bound => bound,
    }
}

fn listen(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `[::]` also accepts IPv4, whatever the default of the host (net.ipv6.bindv6only).
        socket.set_only_v6(false)?;
    }
    // A restart need not wait until old connections have left TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Listener::new(socket.into())
}

/// The sockets that systemd passed to this process (`sd_listen_fds(3)`).
fn from_systemd() -> Result<Vec<Listener>, ListenError> {
    let problem = |problem: &dyn fmt::Display| ListenError::Systemd {
        problem: problem.to_string(),
    };
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::with_capacity(given.len());
    for index in 0..given.len() {
        let socket = given.take_tcp_listener(index).map_err(|e| problem(&e))?;
        if let Some(socket) = socket {
            if !listens(&socket).map_err(|e| problem(&e))? {
                return Err(problem(&format!(
                    "socket {index} that systemd passed does not listen; its unit needs Accept=no \
                     and ListenStream"
                )));
            }
            listeners.push(Listener::new(socket).map_err(|e| problem(&e))?);
        }
    }
    if listeners.is_empty() {
        return Err(problem(
            &"systemd passed no socket; is this started by a .socket unit?",
        ));
    }
    Ok(listeners)
}

#[cfg(target_os = "linux")]
fn listens(socket: &std::net::TcpListener) -> io::Result<bool> {
    socket2::SockRef::from(socket).is_listener()
}

/// Other systems cannot say. There, accepting fails if the socket does not listen.
#[cfg(not(target_os = "linux"))]
fn listens(_: &std::net::TcpListener) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        for (text, expected) in [
            (":10955", Address::Every(10955)),
            (":0", Address::Every(0)),
            ("localhost:9", Address::Host("localhost", 9)),
            ("0.0.0.0:9", Address::Host("0.0.0.0", 9)),
            ("[::1]:9", Address::Host("::1", 9)),
            ("[fe80::1%eth0]:9", Address::Host("fe80::1%eth0", 9)),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "10955",
            "localhost",
            "localhost:",
            ":",
            ":http",
            ":+1",
            ":65536",
            "::1:9",
            "::1",
            "[::1]",
            "[]:9",
            "[localhost]:9",
            "[::1:9",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
