//! Builds the rustls configuration from the TLS settings.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use secrecy::{ExposeSecret as _, SecretSlice};
use tracing::warn;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::client_auth::ClientVerifier;
use crate::file_io;
use crate::web::{ClientAuth, Pem, TlsSettings};

/// The largest file of certificates; all public authorities together take 250 kB.
const MAX_PEM_BYTES: usize = 1 << 20;

/// The TLS configuration.
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    /// The expiry of the server's certificate.
    pub(super) not_after: Option<Timestamp>,
}

/// Reads the files and builds the rustls configuration; `http2` offers HTTP/2. Fails with the key of
/// the configuration and what is wrong with its certificate, key or authority.
pub(super) fn load(settings: &TlsSettings, http2: bool) -> Result<Tls, String> {
    let provider = Arc::new(settings.provider.clone());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&settings.versions)
        .map_err(|error| format!("cipher_suites: {error}"))?;
    let builder = match settings.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        auth => builder.with_client_cert_verifier(client_verifier(settings, auth, &provider)?),
    };
    let certificates = certificates(&settings.certificate)?;
    let not_after = certificates.first().and_then(not_after);
    let key = key(&settings.key)?;
    let mut config = builder
        .with_single_cert(certificates, key)
        .map_err(|error| format!("cert and key: {error}"))?;
    if settings.client_auth != ClientAuth::None {
        // A resumed session would not verify the client's certificate again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    if http2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(Tls {
        config: Arc::new(config),
        not_after,
    })
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read("cert", pem)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes.expose_secret()).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| format!("cert: {} holds no certificate in PEM form", name(pem)))
}

/// The expiry of a certificate; `None` if it cannot be parsed.
fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

fn key(pem: &Pem) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read("key", pem)?;
    // The parser's error may quote the file, and thus the key.
    PrivateKeyDer::from_pem_slice(bytes.expose_secret()).map_err(|_| {
        format!(
            "key: {} holds no private key in PEM form (PKCS#8, PKCS#1 or SEC1, not encrypted)",
            name(pem)
        )
    })
}

fn client_verifier(
    settings: &TlsSettings,
    auth: ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ClientVerifier>, String> {
    let authorities = match &settings.client_ca {
        _ if !auth.verifies() => Vec::new(),
        Some(pem) => {
            let bytes = read("client_ca", pem)?;
            // Other blocks of the file are ignored.
            let found = CertificateDer::pem_slice_iter(bytes.expose_secret());
            found.filter_map(Result::ok).collect()
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (usable, unusable) = roots.add_parsable_certificates(authorities.iter().cloned());
    if auth.verifies() && usable == 0 {
        warn!("client_ca: no usable authority; every client certificate will be refused");
    } else if unusable > 0 {
        warn!(unusable, "client_ca: some authorities are unusable");
    }
    // Only configured authorities may be a client's own certificate; the machine's are for servers.
    let trusted = settings.client_ca.as_ref().map(|_| authorities);
    let authorities = (usable > 0).then(|| {
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()
    });
    let authorities = authorities.transpose();
    Ok(Arc::new(ClientVerifier {
        auth,
        authorities: authorities.map_err(|error| format!("client_ca: {error}"))?,
        trusted: trusted.unwrap_or_default(),
        allowed_names: settings.client_allowed_sans.clone(),
        algorithms: provider.signature_verification_algorithms,
    }))
}

fn read(setting: &str, pem: &Pem) -> Result<SecretSlice<u8>, String> {
    match pem {
        Pem::Inline(text) => Ok(text.expose_secret().as_bytes().to_vec().into()),
        Pem::File(path) => file_io::bounded(path, MAX_PEM_BYTES)
            .map(Into::into)
            .map_err(|error| format!("{setting}: cannot read {}: {error}", path.display())),
    }
}

fn name(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => path.display().to_string(),
        Pem::Inline(_) => "the text".to_owned(),
    }
}
