//! The audit log, as the simulation serves it.

use std::time::Duration;

use cloudflare_origin_region_exporter::cloudflare::{
    ApiError, AuditLogPosition, AuditLogReading, Reason, WriteTarget,
};
use cloudflare_origin_region_exporter::domain::OriginIp;
use cloudflare_origin_region_exporter::http_client;
use cloudflare_origin_region_exporter::simulator::{
    Credential, Fault, FaultKind, Operation, Permission, World, zone_id_of,
};
use jiff::Timestamp;

use crate::support::{Set, Simulated, TOKEN, answer, call};

struct Api {
    api: Simulated,
    owner: String,
}

impl Api {
    async fn start() -> Self {
        let world = World::single_token(TOKEN)
            .zone("example.com", [])
            .credential(Credential::key("k", "ops@example.com", "key-of-ops"));
        let owner = world.accounts.keys().next().unwrap().clone();
        Self {
            api: Simulated::start(world).await,
            owner,
        }
    }

    async fn write(&self, method: reqwest::Method, path: &str, body: &str) {
        let url = format!("{}{path}", self.api.simulator.base_url());
        let request = http_client::client_builder(None)
            .unwrap()
            .build()
            .unwrap()
            .request(method, url)
            .header("x-auth-email", "ops@example.com")
            .header("x-auth-key", "key-of-ops")
            .body(body.to_owned());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    async fn read(
        &self,
        position: &AuditLogPosition,
        actors: bool,
    ) -> Result<(AuditLogReading, Timestamp), ApiError> {
        let now = Timestamp::now();
        // Times in the log have a resolution of one millisecond.
        let before = now + Duration::from_millis(5);
        let since = position.since(now);
        let call = call();
        let reading = self
            .api
            .client
            .audit_log(&self.owner, since, before, actors, &call);
        Ok((reading.await?, before))
    }
}

#[tokio::test]
async fn what_is_written_shows_once_with_who_wrote_it() {
    let api = Api::start().await;
    let zone = zone_id_of("example.com");
    let base = format!("/zones/{zone}/origin/cloud_regions");
    let mapping = |ip| format!(r#"{{"origin_ip":"{ip}","vendor":"aws","region":"us-east-1"}}"#);
    api.write(
        reqwest::Method::PUT,
        &format!("{base}/192.0.2.1"),
        &mapping("192.0.2.1"),
    )
    .await;
    let batch = format!("[{},{}]", mapping("192.0.2.2"), mapping("192.0.2.3"));
    api.write(reqwest::Method::PUT, &format!("{base}/batch"), &batch)
        .await;
    api.write(
        reqwest::Method::DELETE,
        &format!("{base}/batch"),
        r#"["192.0.2.3"]"#,
    )
    .await;
    let setting = format!("/zones/{zone}/argo/tiered_caching");
    api.write(reqwest::Method::PATCH, &setting, r#"{"value":"off"}"#)
        .await;
    let pools = format!("/accounts/{}/load_balancers/pools", api.owner);
    api.write(
        reqwest::Method::POST,
        &pools,
        r#"{"name":"p","origins":[]}"#,
    )
    .await;

    let mut position = AuditLogPosition::default();
    let (reading, before) = api.read(&position, true).await.unwrap();
    assert!(reading.entries.is_complete() && !reading.has_more);
    let new = position.accept(reading, before);
    let writes: Vec<_> = new
        .iter()
        .filter_map(|entry| entry.write.as_ref())
        .collect();
    let targets: Vec<_> = writes.iter().map(|write| write.target).collect();
    assert_eq!(
        targets,
        [
            WriteTarget::Mappings,
            WriteTarget::Mappings,
            WriteTarget::Mappings,
            WriteTarget::TieredCache,
            WriteTarget::Pools
        ]
    );
    let ips = |at: usize| {
        let ips = writes[at].origin_ips.iter().map(OriginIp::to_string);
        ips.collect::<Vec<_>>()
    };
    assert_eq!(ips(0), ["192.0.2.1"]);
    assert_eq!(ips(1), ["192.0.2.2", "192.0.2.3"]);
    assert_eq!(ips(2), ["192.0.2.3"]);
    assert_eq!(writes[0].zone.as_ref(), Some(&zone));
    let actor = writes[0].actor.as_ref().unwrap();
    assert_eq!(
        (&*actor.name, &*actor.context),
        ("ops@example.com", "api_key")
    );

    let (again, before) = api.read(&position, true).await.unwrap();
    assert_eq!(again.entries.rows.len(), 5);
    assert!(position.accept(again, before).is_empty());
    let (nameless, _) = api.read(&position, false).await.unwrap();
    assert!(!format!("{nameless:?}").contains("ops@"), "{nameless:?}");
}

#[tokio::test]
async fn late_and_repeated_entries_and_a_flood_lose_and_double_nothing() {
    let api = Api::start().await;
    let zone = zone_id_of("example.com");
    api.api.simulator.update(|world| {
        let log = &mut world.accounts.get_mut(&api.owner).unwrap().audit_log;
        log.repeats = true;
        log.delay = Duration::from_millis(300);
    });
    let records = format!("/zones/{zone}/dns_records");
    let record = r#"{"type":"A","name":"a.example.com","content":"192.0.2.1"}"#;
    api.write(reqwest::Method::POST, &records, record).await;
    let mut position = AuditLogPosition::default();
    let (reading, before) = api.read(&position, true).await.unwrap();
    assert!(
        position.accept(reading, before).is_empty(),
        "the entry appears late"
    );
    tokio::time::sleep(Duration::from_millis(350)).await;
    let (reading, before) = api.read(&position, true).await.unwrap();
    assert_eq!(reading.entries.rows.len(), 2);
    assert_eq!(position.accept(reading, before).len(), 1);

    api.api.simulator.forget_requests();
    api.api.simulator.update(|world| {
        let log = &mut world.accounts.get_mut(&api.owner).unwrap().audit_log;
        (log.repeats, log.delay) = (false, Duration::ZERO);
        let start = Timestamp::now() - Duration::from_mins(1);
        for second in 0..30 {
            log.flood(500, start + Duration::from_secs(second));
        }
    });
    let mut new = 0;
    let mut readings = 0;
    loop {
        let (reading, before) = api.read(&position, true).await.unwrap();
        let has_more = reading.has_more;
        new += position.accept(reading, before).len();
        readings += 1;
        if !has_more {
            break;
        }
        assert!(readings < 5);
    }
    assert_eq!(new, 15_000);
    assert_eq!(readings, 2);
    assert!(api.api.simulator.count(Operation::AuditLog) <= 16);
}

#[tokio::test]
async fn a_log_that_is_refused_or_garbage_is_an_error() {
    let api = Api::start().await;
    let position = AuditLogPosition::default();
    api.api.simulator.update(|world| {
        let permissions = &mut world.credentials[0].permissions;
        permissions.remove(&Permission::AccountSettingsRead);
    });
    let error = api.read(&position, true).await.unwrap_err();
    assert_eq!(error.reason, Reason::Forbidden);
    assert!(
        error.detail.contains("Account: Account Settings: Read"),
        "{error}"
    );
    for (kind, reason) in [
        (FaultKind::Html, Reason::Malformed),
        (FaultKind::NullResult, Reason::Malformed),
        (FaultKind::Unsuccessful, Reason::Unsuccessful),
    ] {
        api.api.simulator.update(|world| {
            world.credentials[0].permissions = Permission::ALL.into();
        });
        api.api
            .simulator
            .add_fault(Fault::new(kind).on(Operation::AuditLog));
        assert_eq!(api.read(&position, true).await.unwrap_err().reason, reason);
        api.api.simulator.clear_faults();
    }
}

#[tokio::test]
async fn pages_are_followed_by_either_cursor_and_never_for_ever() {
    let set = Set::up(|seen| {
        let info = match seen.target.split_once("cursor=").map(|(_, cursor)| cursor) {
            None => r#"{"count":1,"cursor":"two"}"#,
            Some("two") => r#"{"count":"1","cursors":{"after":"three"}}"#,
            _ => r#"{"count":0,"cursor":""}"#,
        };
        answer(
            200,
            &format!(r#"{{"success":true,"result":[{{"id":"e"}}],"result_info":{info}}}"#),
        )
    })
    .await;
    let now = Timestamp::now();
    let read = set
        .client
        .audit_log("a", now, now, true, &call())
        .await
        .unwrap();
    assert_eq!((read.entries.rows.len(), read.has_more), (3, false));
    let first = &set.server.seen()[0].target;
    assert!(first.contains("limit=1000&direction=asc"), "{first}");

    let stuck = r#"{"success":true,"result":[],"result_info":{"cursor":"same"}}"#;
    let set = Set::up(move |_| answer(200, stuck)).await;
    let error = set
        .client
        .audit_log("a", now, now, true, &call())
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::InconsistentPages);

    let mut number = 0;
    let set = Set::up(move |_| {
        number += 1;
        answer(
            200,
            &format!(r#"{{"success":true,"result":[{{}}],"result_info":{{"cursor":"{number}"}}}}"#),
        )
    })
    .await;
    let read = set
        .client
        .audit_log("a", now, now, true, &call())
        .await
        .unwrap();
    assert!(read.has_more);
    assert_eq!(set.server.seen().len(), 10);
}
