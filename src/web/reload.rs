//! Reloads the configuration over HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::{Method, StatusCode};

use super::reply::Reply;

/// A reload in progress. Its result is described for the client.
pub type Reloading = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Reloads the configuration, all or nothing.
pub type Reload = Arc<dyn Fn() -> Reloading + Send + Sync>;

/// Responds with the result of a reload, or with 403 if `reload` is `None` (disabled).
pub(super) async fn answer(reload: Option<&Reload>, method: &Method) -> Reply {
    if !matches!(*method, Method::POST | Method::PUT) {
        return Reply::method_not_allowed("POST, PUT");
    }
    let Some(reload) = reload else {
        return Reply::text(
            StatusCode::FORBIDDEN,
            "Reloading over HTTP is off. Start with --web.enable-lifecycle, or send SIGHUP.",
        );
    };
    match reload().await {
        Ok(done) => Reply::text(StatusCode::OK, &done),
        Err(problems) => Reply::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("The new configuration is invalid; the old one stays in force.\n{problems}"),
        ),
    }
}
