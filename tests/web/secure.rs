//! Helpers for certificates, web configuration files and TLS clients.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::*;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
    der: (CertificateDer<'static>, Vec<u8>),
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server certificate for this host.
    pub(crate) fn server(&self) -> Identity {
        let name = SanType::DnsName("localhost".try_into().unwrap());
        self.issue(vec![name], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A server certificate that expired at the beginning of 2020.
    pub(crate) fn expired(&self) -> Identity {
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::new(&certificate, &key)
    }

    pub(crate) fn client(&self, names: Vec<SanType>) -> Identity {
        self.issue(names, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, names: Vec<SanType>, purpose: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::new(&certificate, &key)
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

impl Identity {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: (certificate.der().clone(), key.serialize_der()),
        }
    }

    /// A self-signed certificate, as `openssl req -x509` makes it.
    pub(crate) fn of_its_own() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self::new(&params.self_signed(&key).unwrap(), &key)
    }
}

/// A folder with a web configuration file, an authority and a server certificate signed by it.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) authority: Authority,
}

pub(crate) const TLS: &str = "tls_server_config: { cert_file: server.pem, key_file: server.key }\n";

impl Site {
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("authority");
        let site = Self { folder, authority };
        site.write("authority.pem", &site.authority.pem());
        site.write_identity(&site.authority.server());
        site.write("web.yml", config);
        site
    }

    /// A site that requests client certificates.
    pub(crate) fn asking(client_auth: &str) -> Self {
        Self::new(&format!(
            "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  {client_auth}\n"
        ))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        // Atomically, like tools that rotate certificates.
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, self.path(name)).unwrap();
    }

    pub(crate) fn write_identity(&self, identity: &Identity) {
        self.write("server.pem", &identity.certificate);
        self.write("server.key", &identity.key);
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::default();
        options.settings.web_config_file = Some(self.path("web.yml"));
        options
    }

    pub(crate) async fn start(&self) -> Server {
        self.options().start().await
    }

    /// A client that trusts the authority.
    pub(crate) fn client(&self, identity: Option<&Identity>) -> ClientConfig {
        client(self.authority.roots(), rustls::ALL_VERSIONS, identity)
    }
}

pub(crate) fn client(
    roots: RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&Identity>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        Some(identity) => {
            let (certificate, key) = &identity.der;
            let key = PrivateKeyDer::try_from(key.clone()).unwrap();
            builder.with_client_auth_cert(vec![certificate.clone()], key)
        }
        None => Ok(builder.with_no_client_auth()),
    }
    .unwrap()
}

pub(crate) async fn connect(
    server: &Server,
    client: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = server.connect().await;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").unwrap();
    let connecting = TlsConnector::from(Arc::new(client)).connect(name, stream);
    timeout(PATIENCE, connecting)
        .await
        .expect("the handshake ends in time")
}

/// Sends one HTTP/1.1 request over TLS. If the server rejects the client certificate, this fails
/// rather than the handshake, because the client completes its part first.
pub(crate) async fn request(
    server: &Server,
    client: ClientConfig,
    request: &str,
) -> io::Result<String> {
    let mut stream = connect(server, client).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("the server closes the connection")?;
    Ok(String::from_utf8(answer).unwrap())
}

pub(crate) const GET_AND_CLOSE: &str =
    "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Whether the client receives the metrics.
pub(crate) async fn is_served(server: &Server, client: ClientConfig) -> bool {
    match request(server, client, GET_AND_CLOSE).await {
        Ok(answer) => answer.contains(METRICS),
        Err(_) => false,
    }
}

/// A `reqwest` client, which chooses the protocol by ALPN.
pub(crate) fn reqwest(
    server: &Server,
    mut client: ClientConfig,
    protocols: &[&str],
) -> reqwest::Client {
    client.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    reqwest::Client::builder()
        .tls_backend_preconfigured(client)
        .resolve("localhost", server.addresses[0])
        .build()
        .unwrap()
}

pub(crate) fn url(server: &Server, path: &str) -> String {
    format!("https://localhost:{}{path}", server.addresses[0].port())
}
