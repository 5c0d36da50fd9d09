//! TLS and client certificates.

use std::net::IpAddr;
use std::time::Duration;

use cloudflare_origin_region_exporter::web::{Limits, Protection};
use rcgen::SanType;
use reqwest::Version;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, NamedGroup, ProtocolVersion};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::secure::*;
use crate::support::*;

#[tokio::test]
async fn the_protocol_is_chosen_by_alpn() {
    for (http2, offered, expected) in [
        (true, &["h2", "http/1.1"][..], Version::HTTP_2),
        (true, &["http/1.1"], Version::HTTP_11),
        (true, &[], Version::HTTP_11),
        (false, &["h2", "http/1.1"], Version::HTTP_11),
    ] {
        let site = Site::new(&format!("{TLS}http_server_config: {{ http2: {http2} }}\n"));
        let server = site.start().await;
        let client = reqwest(&server, site.client(None), offered);
        let response = client.get(url(&server, "/metrics")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.version(), expected, "{http2} {offered:?}");
        server.expect_requests("metrics", "200", 1);
    }
}

#[tokio::test]
async fn clients_are_asked_in_five_ways() {
    let checked = "client_ca_file: authority.pem\n  client_auth_type: ";
    for (client_auth, without, stranger, known) in [
        (
            "client_auth_type: NoClientCert".to_owned(),
            true,
            true,
            true,
        ),
        (
            "client_auth_type: RequestClientCert".to_owned(),
            true,
            true,
            true,
        ),
        (
            "client_auth_type: RequireAnyClientCert".to_owned(),
            false,
            true,
            true,
        ),
        (
            "client_auth_type: RequireClientCert".to_owned(),
            false,
            true,
            true,
        ),
        (
            format!("{checked}VerifyClientCertIfGiven"),
            true,
            false,
            true,
        ),
        (
            format!("{checked}RequireAndVerifyClientCert"),
            false,
            false,
            true,
        ),
    ] {
        let site = Site::asking(&client_auth);
        let server = site.start().await;
        let one_of_others = Authority::new("others").client(Vec::new());
        let one_of_ours = site.authority.client(Vec::new());
        for (who, identity, expected) in [
            ("without", None, without),
            ("stranger", Some(&one_of_others), stranger),
            ("known", Some(&one_of_ours), known),
        ] {
            for versions in [&[&TLS12], &[&TLS13]] {
                let config = client(site.authority.roots(), versions, identity);
                let passed = is_served(&server, config).await;
                assert_eq!(passed, expected, "{client_auth} {who} {versions:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_for_servers_is_none_for_clients() {
    let site = Site::asking(
        "client_ca_file: authority.pem\n  client_auth_type: RequireAndVerifyClientCert",
    );
    let server = site.start().await;
    let wrong_purpose = site.authority.server();
    assert!(!is_served(&server, site.client(Some(&wrong_purpose))).await);
}

#[tokio::test]
async fn a_certificate_can_be_its_own_authority() {
    let site =
        Site::asking("client_ca_file: own.pem\n  client_auth_type: RequireAndVerifyClientCert");
    let own = Identity::of_its_own();
    site.write("own.pem", &own.certificate);
    let server = site.start().await;
    assert!(is_served(&server, site.client(Some(&own))).await);
    let other = Identity::of_its_own();
    assert!(!is_served(&server, site.client(Some(&other))).await);
}

#[tokio::test]
async fn without_a_usable_authority_no_certificate_is_accepted() {
    let site =
        Site::asking("client_ca_file: /dev/null\n  client_auth_type: VerifyClientCertIfGiven");
    let server = site.start().await;
    let identity = site.authority.client(Vec::new());
    assert!(!is_served(&server, site.client(Some(&identity))).await);
    assert!(is_served(&server, site.client(None)).await);
}

#[tokio::test]
async fn the_names_of_clients_can_be_told() {
    let names = || -> Vec<SanType> {
        vec![
            SanType::DnsName("scraper.example".try_into().unwrap()),
            SanType::Rfc822Name("ops@example.com".try_into().unwrap()),
            SanType::URI("spiffe://example/scraper".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse::<IpAddr>().unwrap()),
            SanType::IpAddress("2001:db8::7".parse::<IpAddr>().unwrap()),
        ]
    };
    for (allowed, expected) in [
        ("[scraper.example]", true),
        ("[ops@example.com]", true),
        ("['spiffe://example/scraper']", true),
        ("[192.0.2.7]", true),
        ("['2001:db8::7']", true),
        ("[other, scraper.example]", true),
        ("[example, '*.example', Scraper.example]", false),
        ("[]", false),
    ] {
        let site = Site::asking(&format!(
            "client_ca_file: authority.pem\n  client_auth_type: RequireAndVerifyClientCert\n  \
             client_allowed_sans: {allowed}"
        ));
        let server = site.start().await;
        let known = site.authority.client(names());
        let nameless = site.authority.client(Vec::new());
        let config = site.client(Some(&known));
        assert_eq!(is_served(&server, config).await, expected, "{allowed}");
        assert!(!is_served(&server, site.client(Some(&nameless))).await);
    }
}

#[tokio::test]
async fn versions_suites_and_curves_are_those_of_the_file() {
    for (extra, version, suite, group) in [
        (
            "max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
            ProtocolVersion::TLSv1_2,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            NamedGroup::X25519,
        ),
        (
            "min_version: TLS13\n  curve_preferences: [CurveP384]",
            ProtocolVersion::TLSv1_3,
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            NamedGroup::secp384r1,
        ),
    ] {
        let site = Site::asking(extra);
        let server = site.start().await;
        let stream = connect(&server, site.client(None)).await.unwrap();
        let connection = stream.get_ref().1;
        assert_eq!(connection.protocol_version(), Some(version));
        let negotiated = connection.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(negotiated, suite);
        let negotiated = connection.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(negotiated, group);
        let other = if version == ProtocolVersion::TLSv1_3 {
            &TLS12
        } else {
            &TLS13
        };
        let config = client(site.authority.roots(), &[other], None);
        assert!(!is_served(&server, config).await, "{extra}");
    }
}

#[tokio::test]
async fn certificates_can_stand_in_the_file_itself() {
    let authority = Authority::new("authority");
    let identity = authority.server();
    let client_ca = authority.pem();
    let indented = |text: &str| text.replace('\n', "\n    ");
    let site = Site::new(&format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n  client_ca: |\n    {}\n  \
         client_auth_type: RequireAndVerifyClientCert\n",
        indented(&identity.certificate),
        indented(&identity.key),
        indented(&client_ca),
    ));
    let server = site.start().await;
    let known = authority.client(Vec::new());
    let config = client(authority.roots(), rustls::ALL_VERSIONS, Some(&known));
    assert!(is_served(&server, config).await);
}

#[tokio::test]
async fn plain_http_is_told_to_speak_https() {
    let site = Site::new(TLS);
    let server = site.start().await;
    let answer = server.raw(GET_METRICS).await;
    assert_eq!(status(&answer), 400);
    assert!(answer.ends_with("This port speaks HTTPS.\n"), "{answer}");
    for garbage in [&b"\0\0\0\0"[..], b"\x16\x03\x01\x02\x00\x01", b"x"] {
        let mut stream = server.connect().await;
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(!read_to_end_lossy(&mut stream).await.contains("HTTP"));
    }
    assert!(is_served(&server, site.client(None)).await);
}

#[tokio::test]
async fn slow_handshakes_are_closed_and_keep_nobody_waiting() {
    let site = Site::new(TLS);
    let mut options = site.options();
    options.limits.handshake_timeout = SHORT * 5;
    let server = options.start().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(server.connect().await);
    }
    let mut half = server.connect().await;
    half.write_all(b"\x16\x03\x01").await.unwrap();
    let start = Instant::now();
    assert!(is_served(&server, site.client(None)).await);
    assert!(start.elapsed() < SHORT * 5, "{:?}", start.elapsed());
    silent.push(half);
    for stream in &mut silent {
        assert_eq!(read_to_end(stream).await, "");
    }
    assert!(start.elapsed() < PATIENCE / 2 + Duration::from_secs(1));
}

#[tokio::test]
async fn what_cannot_be_used_is_told_with_its_place_and_without_the_key() {
    let site = Site::new("");
    let stranger = Authority::new("stranger").server();
    let secret = stranger.key.lines().nth(1).unwrap().to_owned();
    site.write("other.key", &stranger.key);
    site.write(
        "broken.key",
        &stranger.key.replace("-----END", "-----BEGIN"),
    );
    site.write("not.pem", "nothing");
    for (text, parts) in [
        (
            "cert_file: gone.pem, key_file: server.key",
            ["cert: cannot read ", "gone.pem"],
        ),
        (
            "cert_file: server.pem, key_file: gone.key",
            ["key: cannot read ", "gone.key"],
        ),
        (
            "cert_file: not.pem, key_file: server.key",
            ["not.pem holds no certificate", "cert: "],
        ),
        (
            "cert_file: server.pem, key_file: not.pem",
            ["not.pem holds no private key", "key: "],
        ),
        (
            "cert_file: server.pem, key_file: broken.key",
            ["broken.key holds no private key", ""],
        ),
        (
            "cert_file: server.pem, key_file: other.key",
            ["cert and key", ""],
        ),
        (
            "cert_file: server.pem, key_file: server.key, client_ca_file: gone.pem, \
             client_auth_type: RequireAndVerifyClientCert",
            ["client_ca: cannot read ", "gone.pem"],
        ),
        (
            "cert_file: server.pem",
            ["needs key_file or key", "web.yml:1"],
        ),
    ] {
        site.write("web.yml", &format!("tls_server_config: {{ {text} }}"));
        let error = Protection::load(Some(&site.path("web.yml"))).err().unwrap();
        let error = error.to_string();
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
        assert!(
            error.contains("web.yml") && !error.contains(&secret),
            "{error}"
        );
    }
    let missing = Protection::load(Some("no-such-file.yml".as_ref()))
        .err()
        .unwrap();
    let missing = missing.to_string();
    assert!(
        missing.contains("no-such-file.yml: cannot read"),
        "{missing}"
    );
}

#[test]
fn the_documented_examples_and_limits_hold() {
    let text = include_str!("../../docs/web-configuration.md");
    let mut examples = 0;
    for example in text.split("```yaml\n").skip(1) {
        let example = example.split("```").next().unwrap();
        let site = Site::new(example);
        let loaded = Protection::load(Some(&site.path("web.yml")));
        assert!(loaded.is_ok(), "{example}: {:?}", loaded.err());
        examples += 1;
    }
    assert_eq!(examples, 3);

    let limits = Limits::default();
    for row in [
        format!("| open connections | {} |", limits.connections),
        format!("| head of a request | {} KiB,", limits.head_bytes >> 10),
        format!("handshake | {} s |", limits.handshake_timeout.as_secs()),
        format!(
            "between two requests | {} s |",
            limits.head_timeout.as_secs()
        ),
        format!(
            "than what is left of it | {} s |",
            limits.stall_timeout.as_secs()
        ),
        format!("1 s for each {} KiB |", limits.least_rate >> 10),
        format!("one HTTP/2 connection | {} |", limits.http2_streams),
        format!("at a shutdown | {} s |", limits.drain_timeout.as_secs()),
    ] {
        assert!(text.contains(&row), "{row}");
    }
}
