//! An entry of the audit log: what was written, and by whom. Pure: no I/O and no clock.

use std::hash::Hasher as _;

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use siphasher::sip::SipHasher13;

use super::envelope;
use crate::domain::{OriginIp, PoolId, ZoneId};
use crate::truncate::prefix;

/// The maximum length of an actor's name, in characters. Longer names are truncated.
const NAME_LIMIT: usize = 200;
/// The maximum length of an entry's identifier, in characters. Longer identifiers are truncated.
const ID_LIMIT: usize = 200;
/// The name of this setting in paths.
const SMART_TIERED_CACHE: &str = "tiered_cache_smart_topology_enable";
/// The maximum number of addresses in one batch (API reference).
const MAX_BATCH: usize = 100;

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its identifier.
    pub id: String,
    /// When it was created, if the log contains a valid time.
    pub time: Option<Timestamp>,
    /// The write, if its target is something that the exporter reads.
    pub write: Option<AuditWrite>,
}

/// A write to something that the exporter reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditWrite {
    /// What was written.
    pub target: WriteTarget,
    /// The zone; `None` for pools.
    pub zone: Option<ZoneId>,
    /// The pool, if the path names one.
    pub pool: Option<PoolId>,
    /// The addresses of the written mappings, if the log contains them.
    pub origin_ips: Vec<OriginIp>,
    /// Who made the write; `None` if actors are not requested.
    pub actor: Option<AuditActor>,
}

/// What a write changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WriteTarget {
    /// Origin cloud region mappings.
    Mappings,
    /// DNS records.
    DnsRecords,
    /// Load balancers of a zone.
    LoadBalancers,
    /// Origin Rules, Cloud Connector rules or page rules.
    Rules,
    /// Tiered cache settings.
    TieredCache,
    /// Load balancer pools of the account.
    Pools,
}

/// The actor of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditActor {
    /// `user`, `account`, `system`, …
    pub kind: String,
    /// The e-mail address or the token's name; empty if the log has neither.
    pub name: String,
    /// `api_token`, `api_key`, `dash`, …
    pub context: String,
}

/// Parses a row of the log, of which every field is optional. Without `actors` the names of people
/// and tokens are omitted.
pub(super) fn read_entry(raw: &RawValue, actors: bool) -> Result<AuditEntry, String> {
    let row: Map<String, Value> = envelope::row(raw, "an object")?;
    let row = Value::Object(row);
    let text = |pointer| row.pointer(pointer).and_then(Value::as_str);
    let id = text("/id").map(str::trim).filter(|id| !id.is_empty());
    let id = id.map_or_else(|| fingerprint(raw.get()), |id| kept(id, ID_LIMIT));
    let result = text("/action/result").unwrap_or_default();
    let code = row.pointer("/raw/status_code").and_then(Value::as_u64);
    let failed = result.eq_ignore_ascii_case("failure") || code.is_some_and(|code| code >= 400);
    let method = text("/raw/method").unwrap_or_default().to_ascii_uppercase();
    let is_read = matches!(&*method, "GET" | "HEAD" | "OPTIONS");
    let uri = text("/raw/uri").filter(|_| !failed && !is_read);
    let write = uri.and_then(touched).map(|(mut write, is_batch)| {
        let zone = || ZoneId::parse(text("/zone/id")?).ok();
        write.zone = write.zone.take().or_else(zone);
        let body = row.pointer("/resource/request").filter(|_| is_batch);
        write.origin_ips.extend(body.into_iter().flat_map(batch));
        let is_actor = |actor: &&Value| actors && actor.is_object();
        write.actor = row.get("actor").filter(is_actor).map(actor);
        write
    });
    Ok(AuditEntry {
        id,
        time: text("/action/time").and_then(|time| time.parse().ok()),
        write,
    })
}

fn actor(actor: &Value) -> AuditActor {
    let text = |field| {
        kept(
            actor.get(field).and_then(Value::as_str).unwrap_or(""),
            NAME_LIMIT,
        )
    };
    let names = [text("email"), text("token_name")];
    AuditActor {
        kind: text("type"),
        name: names
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default(),
        context: text("context"),
    }
}

fn kept(text: &str, characters: usize) -> String {
    prefix(text.trim(), characters).to_owned()
}

/// An identifier for an entry that has none: a hash of its text.
fn fingerprint(row: &str) -> String {
    let mut hasher = SipHasher13::new();
    hasher.write(row.as_bytes());
    format!("#{:016x}", hasher.finish())
}

/// The write to a path, as far as the path says, and whether it is a batch. The path is with or
/// without host, query and `/client/v4`. `None` if it does not name anything that the exporter reads.
fn touched(uri: &str) -> Option<(AuditWrite, bool)> {
    let path = uri.split(['?', '#']).next()?;
    let segments: Vec<_> = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
        .collect();
    let names: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let start = names
        .iter()
        .position(|name| *name == "zones" || *name == "accounts")?;
    let (target, zone, rest) = match names.get(start..)? {
        ["zones", zone, "origin", "cloud_regions", rest @ ..]
        | ["zones", zone, "cache", "origin_cloud_regions", rest @ ..] => {
            (WriteTarget::Mappings, Some(zone), rest)
        }
        ["zones", zone, "dns_records", rest @ ..] => (WriteTarget::DnsRecords, Some(zone), rest),
        ["zones", zone, "load_balancers", rest @ ..] => {
            (WriteTarget::LoadBalancers, Some(zone), rest)
        }
        ["zones", zone, "rulesets" | "pagerules", rest @ ..]
        | ["zones", zone, "cloud_connector", "rules", rest @ ..] => {
            (WriteTarget::Rules, Some(zone), rest)
        }
        ["zones", zone, "argo", "tiered_caching", rest @ ..]
        | ["zones", zone, "cache", SMART_TIERED_CACHE, rest @ ..] => {
            (WriteTarget::TieredCache, Some(zone), rest)
        }
        ["accounts", _, "load_balancers", "pools", rest @ ..] => (WriteTarget::Pools, None, rest),
        _ => return None,
    };
    let of = |wanted| rest.first().filter(|_| target == wanted);
    let write = AuditWrite {
        target,
        zone: zone.map(|zone| ZoneId::parse(zone)).transpose().ok()?,
        pool: of(WriteTarget::Pools).and_then(|id| PoolId::parse(id).ok()),
        origin_ips: of(WriteTarget::Mappings)
            .and_then(|ip| OriginIp::parse(ip).ok())
            .into_iter()
            .collect(),
        actor: None,
    };
    Some((write, of(WriteTarget::Mappings) == Some(&"batch")))
}

/// The addresses of a batch: a list of objects or strings, as JSON or as a string that contains the
/// JSON.
fn batch(request: &Value) -> Vec<OriginIp> {
    let read;
    let items = match request {
        Value::String(text) => {
            read = serde_json::from_str::<Value>(text).unwrap_or_default();
            read.as_array()
        }
        other => other.as_array(),
    };
    let address = |item: &Value| {
        let text = item.as_str().or_else(|| item.get("origin_ip")?.as_str())?;
        OriginIp::parse(text).ok()
    };
    let items = items.into_iter().flatten().take(MAX_BATCH);
    items.filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> AuditEntry {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        read_entry(raw, true).unwrap()
    }

    fn entry(method: &str, uri: &str) -> AuditEntry {
        read(&format!(
            r#"{{"id":"e1","action":{{"type":"update","result":"success",
                "time":"2026-11-27T10:00:00.000Z"}},
                "actor":{{"type":"user","context":"api_token","email":"ops@example.com",
                "token_name":"deploy"}},
                "raw":{{"method":"{method}","uri":"{uri}","status_code":200}},
                "zone":{{"id":"z9"}}}}"#
        ))
    }

    #[test]
    fn paths_are_matched_by_their_end_in_any_spelling() {
        use WriteTarget as T;
        for (uri, target, zone) in [
            (
                "/client/v4/zones/z1/origin/cloud_regions/192.0.2.1",
                T::Mappings,
                "z1",
            ),
            (
                "/zones/z1/origin/cloud_regions/batch?x=1",
                T::Mappings,
                "z1",
            ),
            (
                "https://api.cloudflare.com/client/v4/zones/z1/origin%2Dx/../dns_records/a",
                T::DnsRecords,
                "",
            ),
            ("/zones/z1/cache/origin_cloud_regions", T::Mappings, "z1"),
            ("/client/v4/zones/z1/dns_records/abc", T::DnsRecords, "z1"),
            (
                "https://api.cloudflare.com/client/v4/zones/z1/dns%5Frecords",
                T::DnsRecords,
                "z1",
            ),
            ("/zones/z1/load_balancers", T::LoadBalancers, "z1"),
            (
                "/zones/z1/rulesets/phases/http_request_origin/entrypoint",
                T::Rules,
                "z1",
            ),
            ("/zones/z1/cloud_connector/rules", T::Rules, "z1"),
            ("/zones/z1/pagerules/p", T::Rules, "z1"),
            ("/zones/z1/argo/tiered_caching", T::TieredCache, "z1"),
            (
                "/zones/z1/cache/tiered_cache_smart_topology_enable",
                T::TieredCache,
                "z1",
            ),
        ] {
            let write = entry("PUT", uri).write;
            if zone.is_empty() {
                assert_eq!(write, None, "{uri}");
                continue;
            }
            let write = write.unwrap();
            assert_eq!(write.target, target, "{uri}");
            assert_eq!(write.zone.unwrap().as_str(), zone, "{uri}");
        }
        let pools = entry("POST", "/client/v4/accounts/a/load_balancers/pools")
            .write
            .unwrap();
        assert_eq!((pools.target, pools.pool), (T::Pools, None));
        let pool = entry("PATCH", "/accounts/a/load_balancers/pools/p1?x=1").write;
        assert_eq!(pool.unwrap().pool, PoolId::parse("p1").ok());
        for other in [
            "/zones/z1/settings/ssl",
            "/zones/../origin/cloud_regions",
            "",
            "/accounts/a",
        ] {
            assert_eq!(entry("PUT", other).write, None, "{other}");
        }
    }

    #[test]
    fn addresses_are_read_from_the_path_and_from_batches() {
        let ip = |text| OriginIp::parse(text).unwrap();
        let one = entry("DELETE", "/zones/z1/origin/cloud_regions/2001%3Adb8%3A%3A1");
        assert_eq!(one.write.unwrap().origin_ips, [ip("2001:db8::1")]);
        for request in [
            r#"[{"origin_ip":"192.0.2.1"},{"origin_ip":"x"},7,{"origin_ip":"192.0.2.2"}]"#,
            r#"["192.0.2.1","192.0.2.2"]"#,
            r#""[\"192.0.2.1\",\"192.0.2.2\"]""#,
        ] {
            let batch = read(&format!(
                r#"{{"raw":{{"uri":"/zones/z1/origin/cloud_regions/batch"}},
                    "resource":{{"request":{request}}}}}"#
            ));
            let ips = batch.write.unwrap().origin_ips;
            assert_eq!(ips, [ip("192.0.2.1"), ip("192.0.2.2")], "{request}");
        }
    }

    #[test]
    fn an_actor_has_a_name_unless_names_are_not_wanted() {
        let actor = entry("PUT", "/zones/z1/dns_records")
            .write
            .unwrap()
            .actor
            .unwrap();
        assert_eq!(
            (&*actor.kind, &*actor.name, &*actor.context),
            ("user", "ops@example.com", "api_token")
        );
        let json = r#"{"raw":{"uri":"/zones/z1/dns_records"},"actor":{"token_name":"t","x":1}}"#;
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let actor = read_entry(raw, true).unwrap().write.unwrap().actor.unwrap();
        assert_eq!(actor.name, "t");
        let without = read_entry(raw, false).unwrap();
        assert_eq!(without.write.unwrap().actor, None);
    }

    #[test]
    fn reads_refusals_and_failures_wrote_nothing() {
        let uri = "/zones/z1/dns_records";
        assert_eq!(entry("GET", uri).write, None);
        let refused = r#"{"raw":{"method":"PUT","uri":"/zones/z1/dns_records","status_code":403}}"#;
        assert_eq!(read(refused).write, None);
        let failed = r#"{"raw":{"uri":"/zones/z1/dns_records"},"action":{"result":"failure"}}"#;
        assert_eq!(read(failed).write, None);
    }

    #[test]
    fn every_field_is_optional() {
        let empty = read("{}");
        assert_eq!((empty.time, &empty.write), (None, &None));
        assert_eq!(empty.id, read("{}").id);
        assert_ne!(empty.id, read(r#"{"zone":null}"#).id);
        let odd = read(r#"{"id":7,"action":[],"raw":{"uri":7},"actor":"x","zone":3,"resource":1}"#);
        assert_eq!(odd.write, None);
    }
}
