//! Authentication, permissions and the rate limit.

use std::time::Duration;

use cloudflare_origin_region_exporter::simulator::{
    Credential, CredentialStatus, Permission, RateLimit,
};
use reqwest::Method;

use crate::support::{ACCOUNT, Api, TOKEN, regions, send, two_mappings};

#[tokio::test]
async fn credentials_are_checked() {
    let mut expired = Credential::user_token("t2", "expired");
    expired.status = CredentialStatus::Expired;
    let world = two_mappings()
        .credential(expired)
        .credential(Credential::user_token("t3", "weak").without(Permission::ZoneSettingsRead))
        .credential(Credential::user_token("t4", "elsewhere").only_accounts(["other"]))
        .credential(Credential::key("k1", "a@example.com", "key"));
    let api = Api::of(world).await;
    let path = regions("example.com");
    let with = |token: &str| send(api.request(Method::GET, &path).bearer_auth(token));
    assert_eq!(with("unknown").await.failed(), (401, 10000));
    assert_eq!(with("expired").await.failed(), (401, 10000));
    assert_eq!(with("weak").await.failed(), (403, 10000));
    assert_eq!(with("elsewhere").await.failed(), (403, 10000));
    assert_eq!(
        send(api.request(Method::GET, &path)).await.failed(),
        (400, 9106)
    );
    let key = |key: &str| {
        let request = api.request(Method::GET, &path);
        send(
            request
                .header("X-Auth-Email", "a@example.com")
                .header("X-Auth-Key", key),
        )
    };
    assert_eq!(key("key").await.status, 200);
    assert_eq!(key("other").await.failed(), (403, 9103));
    let hidden = send(api.request(Method::GET, "/zones").bearer_auth("elsewhere")).await;
    assert_eq!(hidden.rows().len(), 0);
}

#[tokio::test]
async fn tokens_are_verified_where_they_belong() {
    let mut expired = Credential::user_token("t2", "expired");
    expired.status = CredentialStatus::Expired;
    let world = two_mappings()
        .credential(expired)
        .credential(Credential::account_token("t3", "accounts", ACCOUNT));
    let api = Api::of(world).await;
    let verify = |path: String, token: &'static str| {
        send(api.request(Method::GET, &path).bearer_auth(token))
    };
    let user = || "/user/tokens/verify".to_owned();
    let account = || format!("/accounts/{ACCOUNT}/tokens/verify");
    assert_eq!(
        verify(user(), TOKEN).await.body["result"]["status"],
        "active"
    );
    assert_eq!(
        verify(user(), "expired").await.body["result"]["status"],
        "expired"
    );
    assert_eq!(verify(user(), "accounts").await.failed(), (401, 1000));
    assert_eq!(
        verify(account(), "accounts").await.body["result"]["id"],
        "t3"
    );
    assert_eq!(verify(account(), TOKEN).await.failed(), (401, 1000));
}

#[tokio::test]
async fn past_the_rate_limit_everything_of_that_token_is_refused() {
    let mut world = two_mappings().credential(Credential::user_token("t2", "other"));
    world.rate_limit = RateLimit {
        requests: 2,
        window: Duration::from_mins(1),
        block: Duration::from_millis(1200),
    };
    let api = Api::of(world).await;
    assert!(
        api.get("/zones").await.headers["ratelimit"]
            .to_str()
            .unwrap()
            .contains("r=1;")
    );
    assert_eq!(api.get("/zones").await.status, 200);
    let refused = api.get(&regions("example.com")).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "2");
    assert_eq!(
        send(api.request(Method::GET, "/zones").bearer_auth("other"))
            .await
            .status,
        200
    );
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(api.get("/zones").await.status, 200);
}
