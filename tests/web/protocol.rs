//! HTTP/1 with all kinds of clients.

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::time::sleep;

use crate::support::*;
use crate::world;

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let answer = server
        .raw(
            b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n\
              HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n\
              GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n\
              GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
    let codes: Vec<_> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| status(&answer[at..]))
        .collect();
    assert_eq!(codes, [200, 200, 404, 200]);
    assert!(answer.contains(METRICS), "{answer}");
}

#[tokio::test]
async fn garbage_is_refused_and_harms_nobody() {
    let server = Server::start().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nbad header\r\n\r\n",
    ] {
        let answer = server.raw(garbage).await;
        assert!(
            answer.is_empty() || status(&answer) == 400,
            "{garbage:?}: {answer}"
        );
    }
    assert_eq!(server.get("/-/healthy").await.0, 200);
}

#[tokio::test]
async fn old_clients_and_proxies_are_answered() {
    let server = Server::start().await;
    let answer = server.raw(b"GET /metrics HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains(METRICS), "{answer}");
    let answer = server
        .raw(b"GET http://exporter.example:10955/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(status(&answer), 200);
}

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answer() {
    let (metrics, gate) = UpMetric::gated();
    let options = Options {
        metrics,
        look_up: Arc::new(|_| {
            Box::pin(async {
                sleep(SHORT).await;
                Ok(None)
            })
        }),
        ..Options::default()
    };
    let server = options.start().await;
    server.snapshot.publish(world::small());
    let mut streams = Vec::new();
    for path in ["/metrics", "/", "/probe?zone=a1&target=192.0.2.1"] {
        let mut stream = server.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        streams.push((path, stream));
    }
    sleep(SHORT).await;
    drop(gate);
    for (path, mut stream) in streams {
        let answer = read_to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
}
