//! The section `tls_server_config`.

use std::path::{Path, PathBuf};

use rustls::crypto::ring::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};
use secrecy::SecretString;
use serde::Deserialize;

use super::Boolean;
use crate::config_tree::{Located, Reader, parsed_types};
use crate::words::words;

/// The TLS settings of the server.
#[derive(Debug)]
pub struct TlsSettings {
    /// The server's certificate chain.
    pub certificate: Pem,
    /// Its key.
    pub key: Pem,
    /// The policy for client certificates.
    pub client_auth: ClientAuth,
    /// The authorities for client certificates; `None` means those of the machine.
    pub client_ca: Option<Pem>,
    /// Subject alternative names, of which a client certificate must have one; `None` allows any.
    pub client_allowed_sans: Option<Vec<String>>,
    /// The enabled versions.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// The enabled cipher suites, and key exchange groups by preference.
    pub provider: CryptoProvider,
}

/// The source of a certificate or key in PEM form. A file takes precedence over inline text.
#[derive(Debug)]
pub enum Pem {
    /// This file.
    File(PathBuf),
    /// Inline text of the configuration.
    Inline(SecretString),
}

words! {
    /// The policy for client certificates, as `client_auth_type` names it.
    pub enum ClientAuth {
        /// No certificate is requested.
        None = "NoClientCert",
        /// An optional certificate, which is not verified.
        Request = "RequestClientCert",
        /// A required certificate, which is not verified.
        RequireAny = "RequireAnyClientCert",
        /// An optional certificate, which is verified if present.
        VerifyIfGiven = "VerifyClientCertIfGiven",
        /// A required certificate, which is verified.
        RequireAndVerify = "RequireAndVerifyClientCert",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    Old,
    Tls12,
    Tls13,
}

/// The keys of the section. An empty string counts as left out, as in Go.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsKeys {
    cert_file: String,
    cert: String,
    key_file: String,
    key: String,
    client_ca_file: String,
    client_ca: String,
    client_auth_type: AuthType,
    client_allowed_sans: Option<Located<Vec<String>>>,
    min_version: Option<Located<VersionName>>,
    max_version: Option<Located<VersionName>>,
    cipher_suites: Option<Located<Vec<CipherSuiteName>>>,
    curve_preferences: Vec<CurveName>,
    /// Has no effect, as in Go.
    prefer_server_cipher_suites: Option<Boolean>,
}

parsed_types! {
    #[derive(Default)]
    AuthType(Option<ClientAuth>) = |text| match text {
        "" => Ok(None),
        // An old alias.
        "RequireClientCert" => Ok(Some(ClientAuth::RequireAny)),
        text => ClientAuth::parse(text).map(Some).ok_or(
            "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or \
             RequireAndVerifyClientCert",
        ),
    };
    VersionName(Version) = |text| match text {
        "TLS10" | "TLS11" => Ok(Version::Old),
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        _ => Err("TLS12 or TLS13"),
    };
    CipherSuiteName(SupportedCipherSuite) = parse_cipher_suite;
    CurveName(&'static dyn SupportedKxGroup) = |text| match text {
        "X25519" => Ok(kx_group::X25519),
        "CurveP256" => Ok(kx_group::SECP256R1),
        "CurveP384" => Ok(kx_group::SECP384R1),
        "CurveP521" => Err("X25519, CurveP256 or CurveP384; CurveP521 is not served here"),
        _ => Err("X25519, CurveP256 or CurveP384"),
    };
}

impl TlsSettings {
    /// The settings of the section; `None` if it does not enable TLS or is invalid. A certificate,
    /// a key, authorities or a client policy enables TLS.
    pub(super) fn new(
        section: Located<TlsKeys>,
        http2: bool,
        folder: &Path,
        reader: &mut Reader,
    ) -> Option<Self> {
        let Located { at, value: keys } = section;
        let wrong_auth = reader.is_wrong(&format!("{}.client_auth_type", at.path));
        let AuthType(client_auth) = keys.client_auth_type;
        let certificate = pem(&keys.cert_file, &keys.cert, folder);
        let key = pem(&keys.key_file, &keys.key, folder);
        let client_ca = pem(&keys.client_ca_file, &keys.client_ca, folder);
        let asked_for =
            certificate.is_some() || key.is_some() || client_ca.is_some() || client_auth.is_some();
        let client_auth = client_auth.unwrap_or(ClientAuth::None);
        let sans = keys.client_allowed_sans;
        if let Some(sans) = &sans
            && !client_auth.verifies()
            && !wrong_auth
        {
            reader.push(sans.at.error(
                "needs client_auth_type VerifyClientCertIfGiven or RequireAndVerifyClientCert",
            ));
        }
        let (lowest, highest) = versions(keys.min_version, keys.max_version, reader);
        let versions = [(Version::Tls12, &TLS12), (Version::Tls13, &TLS13)];
        let enabled = versions
            .iter()
            .filter(|(version, _)| (lowest..=highest).contains(version));
        let mut provider = ring::default_provider();
        if let Some(suites) = keys.cipher_suites {
            let for_http2 = http2 && lowest < Version::Tls13;
            select_cipher_suites(&mut provider, suites, for_http2, reader);
        }
        if !keys.curve_preferences.is_empty() {
            let curves = keys.curve_preferences.iter();
            provider.kx_groups = curves.map(|curve| curve.0).collect();
        }
        if !asked_for {
            return None;
        }
        if certificate.is_none() {
            reader.push(at.error("needs cert_file or cert"));
        }
        if key.is_none() {
            reader.push(at.error("needs key_file or key"));
        }
        if client_ca.is_some() && client_auth == ClientAuth::None && !wrong_auth {
            reader.push(at.error("client_ca and client_ca_file need a client_auth_type"));
        }
        Some(Self {
            certificate: certificate?,
            key: key?,
            client_auth,
            client_ca,
            client_allowed_sans: sans.map(|sans| sans.value),
            versions: enabled.map(|(_, version)| *version).collect(),
            provider,
        })
    }

    /// All certificates and keys.
    pub(in crate::web) fn pems(&self) -> impl Iterator<Item = &Pem> {
        let own = [&self.certificate, &self.key];
        own.into_iter().chain(&self.client_ca)
    }
}

fn pem(file: &str, inline: &str, folder: &Path) -> Option<Pem> {
    match (file, inline) {
        ("", "") => None,
        ("", inline) => Some(Pem::Inline(SecretString::from(inline))),
        (file, _) => Some(Pem::File(folder.join(file))),
    }
}

/// The lowest and highest enabled version.
fn versions(
    min: Option<Located<VersionName>>,
    max: Option<Located<VersionName>>,
    reader: &mut Reader,
) -> (Version, Version) {
    let lowest = min.map_or(Version::Tls12, |Located { at, value }| {
        let VersionName(value) = value;
        if value == Version::Old {
            tracing::warn!(
                place = %at.place,
                "min_version: TLS 1.0 and 1.1 are not served; TLS 1.2 is the lowest version"
            );
        }
        value.max(Version::Tls12)
    });
    let highest = max.map_or(Version::Tls13, |Located { at, value }| {
        let VersionName(value) = value;
        if value == Version::Old {
            reader.push(at.error("TLS 1.0 and 1.1 are not served; expected TLS12 or TLS13"));
        } else if value < lowest {
            reader.push(at.error("is below min_version"));
        }
        value
    });
    (lowest, highest)
}

/// Restricts the suites of TLS 1.2. Those of TLS 1.3 are accepted but have no effect.
fn select_cipher_suites(
    provider: &mut CryptoProvider,
    Located { at, value: named }: Located<Vec<CipherSuiteName>>,
    for_http2: bool,
    reader: &mut Reader,
) {
    let named: Vec<_> = named.into_iter().map(|suite| suite.0).collect();
    let required = [
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    let usable = named.iter().any(|suite| required.contains(&suite.suite()));
    if for_http2 && !named.is_empty() && !usable {
        reader.push(at.error(
            "HTTP/2 needs TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or \
             TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (RFC 9113, section 9.2.2); add one, or set \
             http_server_config.http2 to false",
        ));
    }
    if named.iter().any(|suite| suite.tls13().is_none()) {
        let enabled = &mut provider.cipher_suites;
        enabled.retain(|suite| suite.tls13().is_some() || named.contains(suite));
    }
}

fn parse_cipher_suite(text: &str) -> Result<SupportedCipherSuite, String> {
    let name = |suite: &SupportedCipherSuite| {
        let name = format!("{:?}", suite.suite());
        name.replacen("TLS13_", "TLS_", 1)
    };
    let known = ring::ALL_CIPHER_SUITES;
    known
        .iter()
        .find(|suite| name(suite) == text)
        .copied()
        .ok_or_else(|| {
            let known: Vec<_> = known.iter().map(name).collect();
            format!(
                "a cipher suite that is served here, one of {}",
                known.join(", ")
            )
        })
}

impl ClientAuth {
    /// Whether certificates are verified.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{error, parse};
    use rustls::NamedGroup;

    use super::*;

    fn tls(extra: &str) -> TlsSettings {
        parse(&format!(
            "tls_server_config: {{ cert_file: a, key_file: b, {extra} }}"
        ))
        .unwrap()
        .tls
        .unwrap()
    }

    fn tls_error(extra: &str) -> String {
        error(&format!(
            "tls_server_config: {{ cert_file: a, key_file: b, {extra} }}"
        ))
    }

    #[test]
    fn files_are_relative_to_the_configuration_and_go_before_inline_ones() {
        let tls = tls("cert: x");
        assert!(
            matches!(&tls.certificate, Pem::File(path) if path == Path::new("/etc/exporter/a"))
        );
        assert!(matches!(&tls.key, Pem::File(path) if path == Path::new("/etc/exporter/b")));
        let config = parse("tls_server_config: { cert: c, key: the-key, cert_file: '' }").unwrap();
        assert!(!format!("{config:?}").contains("the-key"));
        assert!(matches!(config.tls.unwrap().certificate, Pem::Inline(_)));
    }

    #[test]
    fn certificate_and_key_belong_together() {
        for (text, part) in [
            ("cert_file: a", "needs key_file or key"),
            ("key_file: a", "needs cert_file or cert"),
            ("client_auth_type: NoClientCert", "needs cert_file or cert"),
            ("cert_file: '', key_file: b", "needs cert_file or cert"),
        ] {
            let errors = error(&format!("tls_server_config: {{ {text} }}"));
            assert!(errors.contains(part), "{errors}");
        }
        for text in ["{}", "{ min_version: TLS13 }", "{ cert_file: '' }"] {
            let config = parse(&format!("tls_server_config: {text}")).unwrap();
            assert!(config.tls.is_none(), "{text}");
        }
    }

    #[test]
    fn clients_are_asked_in_five_ways() {
        for (text, expected) in [
            ("NoClientCert", ClientAuth::None),
            ("RequestClientCert", ClientAuth::Request),
            ("RequireAnyClientCert", ClientAuth::RequireAny),
            ("RequireClientCert", ClientAuth::RequireAny),
            ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
            ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
        ] {
            assert_eq!(
                tls(&format!("client_auth_type: {text}")).client_auth,
                expected
            );
        }
        assert_eq!(tls("client_auth_type: ''").client_auth, ClientAuth::None);
        assert!(tls_error("client_auth_type: Maybe").contains("client_auth_type: expected"));
        assert!(tls_error("client_ca_file: ca").contains("need a client_auth_type"));
    }

    #[test]
    fn names_of_clients_are_checked_only_with_their_certificates() {
        let sans = "client_allowed_sans: [a.example, 192.0.2.1]";
        let verified = tls(&format!(
            "client_auth_type: RequireAndVerifyClientCert, {sans}"
        ));
        let names = verified.client_allowed_sans.unwrap();
        assert_eq!(names, ["a.example", "192.0.2.1"]);
        let nobody = tls("client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: []");
        assert_eq!(nobody.client_allowed_sans, Some(Vec::new()));
        for auth in ["", "client_auth_type: RequireAnyClientCert, "] {
            let errors = tls_error(&format!("{auth}{sans}"));
            assert!(
                errors.contains("client_allowed_sans: needs client_auth_type"),
                "{errors}"
            );
        }
    }

    #[test]
    fn versions_below_tls_1_2_are_a_floor_and_no_ceiling() {
        for (text, tls12, tls13) in [
            ("", true, true),
            ("min_version: TLS10", true, true),
            ("min_version: TLS13", false, true),
            ("max_version: TLS12", true, false),
        ] {
            let tls = tls(text);
            let enabled = [&TLS12, &TLS13].map(|version| tls.versions.contains(&version));
            assert_eq!(enabled, [tls12, tls13], "{text}");
        }
        for (text, part) in [
            (
                "max_version: TLS11",
                "max_version: TLS 1.0 and 1.1 are not served",
            ),
            (
                "min_version: TLS13, max_version: TLS12",
                "max_version: is below min_version",
            ),
            ("min_version: SSL3", "min_version: expected TLS12 or TLS13"),
        ] {
            assert!(tls_error(text).contains(part), "{}", tls_error(text));
        }
    }

    #[test]
    fn cipher_suites_and_curves_are_those_that_can_be_served() {
        let tls = tls(
            "cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], \
             curve_preferences: [CurveP384, X25519], prefer_server_cipher_suites: yes",
        );
        let suites = tls.provider.cipher_suites.iter();
        let suites = suites.filter(|suite| suite.tls13().is_none());
        let suites: Vec<_> = suites.map(SupportedCipherSuite::suite).collect();
        let expected = [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
        assert_eq!(suites, expected);
        let curves = tls.provider.kx_groups.iter();
        let curves: Vec<_> = curves.map(|curve| curve.name()).collect();
        assert_eq!(curves, [NamedGroup::secp384r1, NamedGroup::X25519]);
        for (text, part) in [
            (
                "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
                "\"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA\"",
            ),
            (
                "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]",
                "HTTP/2 needs",
            ),
            (
                "curve_preferences: [CurveP521]",
                "CurveP521 is not served here",
            ),
            ("curve_preferences: [P1]", "found \"P1\""),
            ("min_versoin: TLS12", "did you mean \"min_version\""),
        ] {
            assert!(tls_error(text).contains(part), "{}", tls_error(text));
        }
    }
}
