//! Reading the configuration again, when somebody with the right to asks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::{Method, StatusCode};

use super::reply::Reply;

/// A reload under way: what came of it, in words for whoever asked.
pub type Reloading = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Reads the configuration again, all or nothing.
pub type Reload = Arc<dyn Fn() -> Reloading + Send + Sync>;

const METHODS: &str = "POST, PUT";

/// Answers with what came of a reload; 403 where `reload` is `None`, since nobody switched it on.
pub(super) async fn answer(reload: Option<&Reload>, method: &Method) -> Reply {
    if !matches!(*method, Method::POST | Method::PUT) {
        return Reply::method_not_allowed(METHODS);
    }
    let Some(reload) = reload else {
        return Reply::text(
            StatusCode::FORBIDDEN,
            "Reloading over HTTP is not switched on: start with --web.enable-lifecycle, or send \
             SIGHUP.",
        );
    };
    match reload().await {
        Ok(done) => Reply::text(StatusCode::OK, &done),
        Err(problems) => Reply::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("The old configuration stays in force, for the new one is bad:\n{problems}"),
        ),
    }
}
