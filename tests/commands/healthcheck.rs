//! `healthcheck`

use std::fs;
use std::net::TcpListener;
use std::time::Instant;

use crate::support::{Ended, PATIENCE, Setup, TOKEN, command, run, world};

/// A local address on which nothing listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Runs `healthcheck` until the daemon has started.
async fn healthy(flags: &[&str]) -> Ended {
    let started = Instant::now();
    loop {
        let ended = run(&mut command(&[&["healthcheck"], flags].concat())).await;
        if ended.code == Some(0) || started.elapsed() > PATIENCE {
            return ended;
        }
    }
}

#[tokio::test]
async fn a_daemon_that_runs_is_healthy_and_one_that_does_not_is_not() {
    let setup = Setup::new(world(), "").await;
    let certificate = rcgen::generate_simple_self_signed(["exporter.example".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        let path = setup.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    file("cert.pem", &certificate.cert.pem());
    file("key.pem", &certificate.signing_key.serialize_pem());
    let pair = "cert_file: cert.pem, key_file: key.pem";
    let tls = file("tls.yml", &format!("tls_server_config: {{ {pair} }}"));
    let mutual = format!(
        "tls_server_config: {{ {pair}, client_auth_type: RequireAndVerifyClientCert, \
         client_ca_file: cert.pem }}"
    );
    let mutual = file("mutual.yml", &mutual);
    for web_config in [None, Some(tls), Some(mutual)] {
        let address = free_address();
        let mut flags = vec!["--web.listen-address", &address];
        if let Some(path) = &web_config {
            flags.extend(["--web.config.file", path]);
        }
        let before = run(&mut command(&[&["healthcheck"], &*flags].concat())).await;
        before.code(1).complains(&["error: 127.0.0.1:"]);
        let mut daemon = command(&flags);
        let daemon = daemon
            .env("CLOUDFLARE_API_TOKEN", TOKEN)
            .env(
                "ORIGIN_REGION_EXPORTER__CLOUDFLARE__BASE_URL",
                setup.api.base_url(),
            )
            .spawn()
            .unwrap();
        healthy(&flags).await.code(0);
        drop(daemon);
    }
}
