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

/// Why the server cannot listen, described for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ListenError(String);

impl ListenError {
    fn of(address: &str, problem: impl fmt::Display) -> Self {
        Self(format!("cannot listen on {address}: {problem}"))
    }
}

/// Binds all configured addresses, or none. `:port` means every address of this host, IPv4 and
/// IPv6. For a name with several addresses, binds the first, IPv4 before IPv6.
pub async fn bind(settings: &Settings) -> Result<Vec<TcpListener>, ListenError> {
    if settings.systemd_socket {
        return from_systemd();
    }
    let mut listeners = Vec::with_capacity(settings.listen.len());
    for address in &settings.listen {
        listeners.push(bind_one(address).await?);
    }
    if listeners.is_empty() {
        let problem = "there is no address to listen on; give one with --web.listen-address";
        return Err(ListenError(problem.to_owned()));
    }
    Ok(listeners)
}

async fn bind_one(address: &str) -> Result<TcpListener, ListenError> {
    let parsed = parse(address).ok_or_else(|| {
        ListenError(format!(
            "--web.listen-address: {address:?} is not of the form host:port or :port"
        ))
    })?;
    let bound = match parsed {
        ("", port) => listen_everywhere(port),
        (host, port) => {
            let found = lookup_host((host, port)).await.map_err(|error| {
                ListenError::of(address, format!("its host cannot be resolved: {error}"))
            })?;
            let first = found.min_by_key(SocketAddr::is_ipv6);
            first.map_or_else(|| Err(io::Error::other("the host has no address")), listen)
        }
    };
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::of(
            address,
            "address already in use; is another exporter running? choose another with \
             --web.listen-address",
        ),
        _ => ListenError::of(address, error),
    })
}

/// Whether the text is `host:port`, `[IPv6]:port` or `:port`.
pub fn is_listen_address(text: &str) -> bool {
    parse(text).is_some()
}

/// The host, which is empty for every address, and the port.
fn parse(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok().filter(|_| !port.starts_with('+'))?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    // A link-local address may name its interface.
    let is_ipv6 = |ip: &str| ip.split('%').next()?.parse::<Ipv6Addr>().ok();
    match host.strip_prefix('[') {
        Some(host) => {
            let ip = host.strip_suffix(']')?;
            is_ipv6(ip).map(|_| (ip, port))
        }
        None => host.bytes().all(is_plain).then_some((host, port)),
    }
}

/// An IPv6 socket that also accepts IPv4, or an IPv4 socket if the host has no IPv6.
fn listen_everywhere(port: u16) -> io::Result<TcpListener> {
    match listen(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            listen(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port))
        }
        bound => bound,
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
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
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// The sockets that systemd passed to this process (`sd_listen_fds(3)`).
fn from_systemd() -> Result<Vec<TcpListener>, ListenError> {
    let problem =
        |problem: &dyn fmt::Display| ListenError(format!("--web.systemd-socket: {problem}"));
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
            let listener = socket.set_nonblocking(true);
            let listener = listener.and_then(|()| TcpListener::from_std(socket));
            listeners.push(listener.map_err(|e| problem(&e))?);
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
            (":10955", ("", 10955)),
            (":0", ("", 0)),
            ("localhost:9", ("localhost", 9)),
            ("0.0.0.0:9", ("0.0.0.0", 9)),
            ("[::1]:9", ("::1", 9)),
            ("[fe80::1%eth0]:9", ("fe80::1%eth0", 9)),
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
