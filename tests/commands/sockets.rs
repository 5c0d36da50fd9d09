//! Sockets that systemd passes.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use socket2::{Domain, Socket, Type};

#[test]
fn a_socket_that_does_not_listen_is_refused_at_the_start() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&address.into()).unwrap();
    let output = Command::new("sh")
        .args([
            "-c",
            "exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" demo --web.systemd-socket",
            env!("CARGO_BIN_EXE_cloudflare-origin-region-exporter"),
        ])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        error.contains("--web.systemd-socket: socket 0 that systemd passed does not listen"),
        "{error}"
    );
}
