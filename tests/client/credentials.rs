//! Tokens are verified, replaced, and never shown.

use cloudflare_origin_region_exporter::cloudflare::{
    Client, Credentials, Reason, Secret, Secrets, TokenState,
};
use prometheus::Registry;

use crate::scripted::Server;
use crate::support::{Set, TOKEN, answer, call, error, http, inline, name, settings, zone};

#[tokio::test]
async fn a_refused_token_is_replaced_by_what_its_file_holds_now() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old\n").unwrap();
    let set = Set::with(
        |_| {},
        Secret::File(file.path().to_owned()),
        |seen| match seen.header("authorization") {
            Some("Bearer new") => answer(200, include_str!("../data/cloudflare/list-empty.json")),
            _ => error(401, 10000),
        },
    )
    .await;
    let refused = set
        .client
        .list_mappings(&zone(), &call())
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Unauthorized);
    assert_eq!(set.server.seen().len(), 1);
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(0.0));
    std::fs::write(file.path(), "new\n").unwrap();
    set.client.list_mappings(&zone(), &call()).await.unwrap();
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(1.0));
}

#[tokio::test]
async fn without_a_secret_nothing_is_sent() {
    let file = Secret::File("/nonexistent/token".into());
    let set = Set::with(|_| {}, file, |_| answer(200, "{}")).await;
    let error = set.client.list_zones(&call()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Unauthorized);
    assert!(error.detail.contains("/nonexistent/token"), "{error}");
    assert!(set.server.seen().is_empty());
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), None);
}

#[tokio::test]
async fn a_secret_that_the_server_sends_back_is_not_shown() {
    let body = format!(r#"{{"success":false,"errors":[{{"code":1,"message":"a\n{TOKEN}"}}]}}"#);
    let set = Set::up(move |_| answer(403, &body)).await;
    let error = set.client.list_zones(&call()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
    assert!(
        error.detail.contains("[redacted]") && !error.detail.contains('\n'),
        "{error}"
    );
    assert!(error.detail.contains("Zone: Zone: Read"), "{error}");
}

#[tokio::test]
async fn an_answer_that_repeats_the_secret_of_another_account_is_shown_without_it() {
    let other = "secret-of-another-account";
    let answers = [
        (
            403,
            format!(r#"{{"success":false,"errors":[{{"message":"{other}"}}]}}"#),
        ),
        (
            200,
            format!(r#"{{"success":false,"errors":[{{"message":"{other}"}}]}}"#),
        ),
        (
            200,
            format!(
                r#"{{"success":true,"result":["{other}",{{"origin_ip":"192.0.2.1",
                    "vendor":"{other}","region":"{other}"}}]}}"#
            ),
        ),
    ];
    let mut next = answers.into_iter();
    let server = Server::start(move |_| {
        let (status, body) = next.next().unwrap();
        answer(status, &body)
    })
    .await;
    let mut settings = settings(&format!("http://{}/client/v4", server.address));
    settings.retries = 0;
    let secrets = Secrets::default();
    let client = |secret| {
        Client::new(
            &settings,
            name(),
            Credentials::Token(secret),
            http(),
            &Registry::new(),
            &secrets,
        )
        .unwrap()
    };
    let (asks, _other) = (client(inline(TOKEN)), client(inline(other)));
    for _ in 0..2 {
        let error = asks.list_mappings(&zone(), &call()).await.unwrap_err();
        assert!(error.detail.contains("([redacted])"), "{error}");
    }
    let list = asks.list_mappings(&zone(), &call()).await.unwrap();
    assert_eq!(list.rows.as_slice()[0].region.as_str(), "[redacted]");
    assert!(list.rejected.examples[0].contains("[redacted]"), "{list:?}");
    assert!(!format!("{list:?}").contains(other), "{list:?}");
}

#[tokio::test]
async fn a_token_is_verified_as_a_users_and_then_as_the_accounts() {
    let set = Set::up(|seen| match seen.target.as_str() {
        "/client/v4/accounts/owner1/tokens/verify" => answer(
            200,
            r#"{"success":true,"result":{"id":"t","status":"active",
                "expires_on":"2030-01-01T00:00:00Z"}}"#,
        ),
        "/client/v4/accounts/owner2/tokens/verify" => answer(
            200,
            r#"{"success":true,"result":{"id":"t","status":"expired"}}"#,
        ),
        _ => error(401, 1000),
    })
    .await;
    let valid = || set.metric(r#"token_valid{account="main"}"#);
    let expiry = || set.metric(r#"token_expiry_timestamp_seconds{account="main"}"#);
    assert!(set.client.verify_token(None, &call()).await.is_err());
    assert_eq!((valid(), expiry()), (None, None));
    let status = set
        .client
        .verify_token(Some("owner1"), &call())
        .await
        .unwrap();
    assert_eq!(status.state, TokenState::Active);
    assert_eq!((valid(), expiry()), (Some(1.0), Some(1_893_456_000.0)));
    let status = set
        .client
        .verify_token(Some("owner2"), &call())
        .await
        .unwrap();
    assert_eq!(status.state, TokenState::Expired);
    assert_eq!((valid(), expiry()), (Some(0.0), None));
    let errors =
        r#"api_errors_total{account="main",operation="verify_token",reason="unauthorized"}"#;
    assert_eq!(set.metric(errors), None);
}

#[tokio::test]
async fn a_refusal_of_an_optional_call_alone_leaves_the_token_valid() {
    let set = Set::up(|seen| {
        let status = if seen.target.contains("dns_records") {
            403
        } else {
            401
        };
        match seen.target.as_str() {
            target if target.contains("cloud_regions") => {
                answer(200, include_str!("../data/cloudflare/list-empty.json"))
            }
            target if target.contains("load_balancers") => error(400, 10000),
            _ => error(status, 10000),
        }
    })
    .await;
    let (client, id) = (&set.client, zone());
    client.list_mappings(&id, &call()).await.unwrap();
    client.load_balancers(&id, &call()).await.unwrap_err();
    client.dns_records(&id, &call()).await.unwrap_err();
    client.cloud_connector(&id, &call()).await.unwrap_err();
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(1.0));
    client.list_zones(&call()).await.unwrap_err();
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(0.0));
}

#[tokio::test]
async fn a_403_that_calls_the_token_invalid_is_about_the_credentials() {
    let set = Set::up(|seen| {
        let message = if seen.target.contains("cloud_regions") {
            "Invalid access token"
        } else {
            "Cannot use the access token from location: 192.0.2.7"
        };
        answer(
            403,
            &format!(r#"{{"success":false,"errors":[{{"code":9109,"message":"{message}"}}]}}"#),
        )
    })
    .await;
    let error = set.client.list_zones(&call()).await.unwrap_err();
    assert_eq!(error.reason, Reason::Forbidden);
    assert!(error.detail.contains("address filter"), "{error}");
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), None);
    let error = set
        .client
        .list_mappings(&zone(), &call())
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::Unauthorized);
    assert_eq!(set.metric(r#"token_valid{account="main"}"#), Some(0.0));
}
