//! Checks the health of the daemon on this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use rustls::AlertDescription;
use tokio::time::timeout;

use super::Error;
use crate::http_client;
use crate::web::{self, WebConfig};

/// Shorter than the usual time-out of an orchestrator.
const LIMIT: Duration = Duration::from_secs(5);

/// Succeeds if the daemon reports that it is healthy.
pub(super) async fn run(settings: &web::Settings) -> Result<ExitCode, Error> {
    let outcome = timeout(LIMIT, ask(settings)).await;
    outcome.map_err(|_| format!("no answer within {} s", LIMIT.as_secs()))??;
    Ok(ExitCode::SUCCESS)
}

async fn ask(settings: &web::Settings) -> Result<(), Error> {
    if settings.systemd_socket {
        return Err("the addresses of sockets from systemd are not known here".into());
    }
    let address = settings.listen.first().map_or("", String::as_str);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let address = format!("{}:{port}", reachable(host));
    let config = settings.web_config_file.as_deref().map(WebConfig::load);
    let config = config.transpose().map_err(|errors| errors.to_string())?;
    let scheme = match config.and_then(|config| config.tls) {
        Some(_) => "https",
        None => "http",
    };
    // Fails only if there is a provider already.
    drop(rustls::crypto::ring::default_provider().install_default());
    // This checks that the process answers, not its identity: its certificate is for other names.
    let client = Client::builder().tls_danger_accept_invalid_certs(true);
    // The errors of HTTP/2 do not name their cause.
    let client = client.http1_only().no_proxy().build();
    let client = client.map_err(http_client::describe)?;
    let request = client.get(format!("{scheme}://{address}/-/healthy"));
    match request.send().await {
        Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
        Ok(answer) => Err(format!("{address} answered {}", answer.status()).into()),
        Err(error) if wants_client_certificate(&error) => Ok(()),
        Err(error) => Err(format!("{address}: {}", http_client::describe(error)).into()),
    }
}

/// A daemon that asks for a client certificate is up, so it is healthy.
fn wants_client_certificate(error: &reqwest::Error) -> bool {
    matches!(
        http_client::source(error),
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate
        ))
    )
}

/// The address at which this host can reach a listener.
fn reachable(host: &str) -> String {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => format!("[{}]", Ipv6Addr::LOCALHOST),
        Err(_) if host.is_empty() => Ipv4Addr::LOCALHOST.to_string(),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_the_loopback() {
        for (host, asked) in [
            ("", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1"),
            ("[::]", "[::1]"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("192.0.2.1", "192.0.2.1"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(reachable(host), asked);
        }
    }
}
