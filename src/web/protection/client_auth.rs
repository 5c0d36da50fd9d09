//! Verifies client certificates.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use x509_parser::prelude::{ASN1Time, FromDer as _, GeneralName, X509Certificate};

use crate::web::ClientAuth;

/// Requests client certificates and verifies them as configured. In every mode, a client must prove
/// that it holds the key of its certificate.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    pub(super) auth: ClientAuth,
    /// Verifies against the authorities; without it no certificate is accepted.
    pub(super) authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// The raw authorities: a client may present one of them as its own certificate.
    pub(super) trusted: Vec<CertificateDer<'static>>,
    /// If set, the certificate must contain one of these names.
    pub(super) allowed_names: Option<Vec<String>>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    fn check_authority(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.trusted.contains(certificate) {
            let is_fit = is_fit(&parse(certificate)?, now);
            let problem = "the certificate is not valid now or not made for clients";
            return is_fit.then_some(()).ok_or_else(|| refused(problem));
        }
        match &self.authorities {
            Some(authorities) => authorities
                .verify_client_cert(certificate, intermediates, now)
                .map(drop),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn check_names(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let Some(allowed) = &self.allowed_names else {
            return Ok(());
        };
        let is_allowed = names(&parse(certificate)?).any(|name| allowed.contains(&name));
        let problem = "none of the certificate's names is in client_allowed_sans";
        is_allowed.then_some(()).ok_or_else(|| refused(problem))
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        matches!(
            self.auth,
            ClientAuth::RequireAny | ClientAuth::RequireAndVerify
        )
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities
            .as_ref()
            .map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.auth.verifies() {
            self.check_authority(end_entity, intermediates, now)?;
            self.check_names(end_entity)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The error for a certificate from a trusted authority.
fn refused(why: &str) -> Error {
    let why = Box::<dyn std::error::Error + Send + Sync>::from(why);
    CertificateError::Other(OtherError(Arc::from(why))).into()
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|_| Error::from(CertificateError::BadEncoding))?;
    Ok(parsed)
}

/// Whether it is currently valid, and for client authentication if its usage is restricted.
fn is_fit(certificate: &X509Certificate<'_>, now: UnixTime) -> bool {
    let in_time = i64::try_from(now.as_secs())
        .ok()
        .and_then(|seconds| ASN1Time::from_timestamp(seconds).ok())
        .is_some_and(|now| certificate.validity().is_valid_at(now));
    let for_clients = certificate
        .extended_key_usage()
        .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.client_auth || usage.value.any));
    in_time && for_clients
}

/// The subject alternative names, as the configuration spells them.
fn names(certificate: &X509Certificate<'_>) -> impl Iterator<Item = String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map_or(&[][..], |extension| &extension.value.general_names);
    names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            Some((*name).to_owned())
        }
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    })
}

/// The names in a certificate, for `fuzzing`; `None` if it cannot be parsed.
pub(in crate::web) fn names_of(certificate: &[u8]) -> Option<Vec<String>> {
    let certificate = CertificateDer::from(certificate);
    let parsed = parse(&certificate).ok()?;
    is_fit(&parsed, UnixTime::since_unix_epoch(Duration::ZERO));
    Some(names(&parsed).collect())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    Some(address.ok()?.to_canonical())
}
