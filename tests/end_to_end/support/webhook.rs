//! A receiver of notifications from Alertmanager.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// Records all received alerts, in order.
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    alerts: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let alerts = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&alerts);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request| keep(request, Arc::clone(&kept)));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, alerts }
    }

    /// The first received alert with this name and status.
    pub(crate) fn find(&self, name: &str, status: &str) -> Option<Value> {
        self.all(name, status).into_iter().next()
    }

    /// All received alerts with this name and status.
    pub(crate) fn all(&self, name: &str, status: &str) -> Vec<Value> {
        let alerts = self.alerts.lock().unwrap();
        let found = alerts.iter();
        found
            .filter(|a| a["labels"]["alertname"] == name && a["status"] == status)
            .cloned()
            .collect()
    }

    /// The names of all received alerts.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let alerts = self.alerts.lock().unwrap();
        let names = alerts.iter().map(|alert| &alert["labels"]["alertname"]);
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    }
}

async fn keep(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Value>>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let notification: Value = serde_json::from_slice(&body).unwrap();
    let alerts = notification["alerts"].as_array().unwrap();
    kept.lock().unwrap().extend(alerts.iter().cloned());
    Ok(Response::new(Empty::new()))
}
