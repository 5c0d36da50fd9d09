//! Checks the health of the daemon on this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{AppError, logging};
use crate::web::{self, WebConfig};

/// Shorter than the usual time-out of an orchestrator.
const LIMIT: Duration = Duration::from_secs(5);
/// Only the status line is read.
const MAX_HEAD_BYTES: u64 = 1024;
const UNHEALTHY: u8 = 1;

/// Exit code 0 if the daemon reports that it is healthy, otherwise 1.
pub(super) async fn run(settings: &web::Settings) -> Result<ExitCode, AppError> {
    let outcome = timeout(LIMIT, ask(settings)).await;
    let outcome =
        outcome.unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())));
    Ok(match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            logging::print(&format!("error: {problem}"));
            ExitCode::from(UNHEALTHY)
        }
    })
}

async fn ask(settings: &web::Settings) -> Result<(), String> {
    if settings.systemd_socket {
        return Err("the addresses of sockets from systemd are not known here".to_owned());
    }
    let address = settings.listen.first().map_or("", String::as_str);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = reachable(host);
    let fail = |error: std::io::Error| format!("{host}:{port}: {error}");
    let target = format!("{host}:{port}");
    let stream = TcpStream::connect(&target).await.map_err(fail)?;
    let tls = match &settings.web_config_file {
        Some(path) => {
            WebConfig::load(path)
                .map_err(|error| error.to_string())?
                .tls
        }
        None => None,
    };
    if tls.is_none() {
        return status(stream, &target).await.map_err(fail)?;
    }
    // This checks that the process answers, not its identity: its certificate is for other names.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let ip = host
        .trim_matches(['[', ']'])
        .parse()
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let connector = TlsConnector::from(Arc::new(config));
    let answered = async {
        let stream = connector.connect(ServerName::from(ip), stream).await?;
        status(stream, &target).await
    };
    match answered.await {
        Err(error) if wants_client_certificate(&error) => Ok(()),
        answered => answered.map_err(fail)?,
    }
}

/// A daemon that asks for a client certificate is up, so it is healthy.
fn wants_client_certificate(error: &std::io::Error) -> bool {
    let error = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<Error>());
    matches!(
        error,
        Some(Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::BadCertificate
        ))
    )
}

async fn status(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
) -> std::io::Result<Result<(), String>> {
    let request = format!("GET /-/healthy HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    // A peer that closes the connection abruptly may still have answered.
    let read = stream.take(MAX_HEAD_BYTES).read_to_end(&mut head).await;
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next().unwrap_or_default();
    if line.starts_with("HTTP/1.1 200") {
        return Ok(Ok(()));
    }
    read?;
    Ok(Err(format!("{host} answered {line:?}")))
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

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
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
