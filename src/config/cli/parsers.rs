//! Parsers for the values of flags.

use std::net::Ipv6Addr;

use tracing::Level;

use crate::domain::OriginIp;

/// The value of `--shard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShardFlag {
    /// A fixed number.
    Ordinal(u32),
    /// The number at the end of the host name.
    Auto,
}

pub(super) fn shard(text: &str) -> Result<ShardFlag, &'static str> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(ShardFlag::Auto);
    }
    text.parse()
        .map(ShardFlag::Ordinal)
        .map_err(|_| "expected a number from 0, or \"auto\"")
}

/// The ordinal in the host name of a `StatefulSet` pod: `name-3`, possibly with a domain.
pub(super) fn ordinal_of(host_name: &str) -> Option<u32> {
    let host = host_name.split('.').next()?;
    let (_, ordinal) = host.rsplit_once('-')?;
    ordinal
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| ordinal.parse().ok())?
}

pub(super) fn level(text: &str) -> Result<Level, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(Level::TRACE),
        "debug" => Ok(Level::DEBUG),
        "info" => Ok(Level::INFO),
        "warn" | "warning" => Ok(Level::WARN),
        "error" => Ok(Level::ERROR),
        _ => Err("expected trace, debug, info, warn or error"),
    }
}

pub(super) fn origin_ip(text: &str) -> Result<OriginIp, &'static str> {
    OriginIp::parse(text).map_err(|_| "expected an IPv4 or IPv6 address")
}

/// `host:port`, `[IPv6]:port` or `:port`.
pub(super) fn listen_address(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str =
        "expected \"host:port\", \"[IPv6 address]:port\" or \":port\", with a port from 0 to 65535";
    let (host, port) = text.rsplit_once(':').ok_or(EXPECTED)?;
    let port_fits = port.parse::<u16>().is_ok() && !port.starts_with('+');
    let host_fits = match host.strip_prefix('[') {
        Some(host) => host
            .strip_suffix(']')
            // A link-local address may name its interface.
            .and_then(|host| host.split('%').next())
            .is_some_and(|host| host.parse::<Ipv6Addr>().is_ok()),
        None => host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
    };
    if port_fits && host_fits {
        Ok(text.to_owned())
    } else {
        Err(EXPECTED)
    }
}

/// A path that does not collide with a built-in endpoint; `/` replaces the pages.
pub(super) fn telemetry_path(text: &str) -> Result<String, &'static str> {
    let plain = text.starts_with('/')
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'%'));
    if !plain {
        return Err("expected a path such as \"/metrics\", without \"?\", \"#\" and \"%\"");
    }
    let taken = text == "/probe"
        || ["/-/", "/api/", "/docs/", "/zones/"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
    if taken {
        return Err("this path is another page's");
    }
    Ok(text.to_owned())
}
