//! DNS records.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Failure, Outcome, success};
use super::listing::{PageBounds, PageRequest, Query};
use super::world::{DnsRecord, SimulatedZone};
use super::zones::LONG_AGO;

const PAGES: PageBounds = PageBounds {
    least: 1,
    most: 5_000_000,
    default: 100,
};

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    name: &'a str,
    r#type: &'a str,
    content: &'a str,
    proxiable: bool,
    proxied: bool,
    ttl: u32,
    settings: BTreeMap<&'a str, bool>,
    meta: BTreeMap<&'a str, Value>,
    comment: Option<&'a str>,
    tags: [&'a str; 0],
    created_on: &'a str,
    modified_on: &'a str,
}

impl<'a> From<&'a DnsRecord> for Row<'a> {
    fn from(record: &'a DnsRecord) -> Self {
        let worker = record.worker.as_ref();
        let worker = worker.map(|id| ("origin_worker_id", json!(id)));
        let read_only = record.read_only.then_some(("read_only", json!(true)));
        Self {
            id: &record.id,
            name: &record.name,
            r#type: &record.kind,
            content: &record.content,
            proxiable: is_proxiable(&record.kind),
            proxied: record.proxied,
            ttl: 1,
            settings: BTreeMap::new(),
            meta: worker.into_iter().chain(read_only).collect(),
            comment: None,
            tags: [],
            created_on: LONG_AGO,
            modified_on: LONG_AGO,
        }
    }
}

fn is_proxiable(kind: &str) -> bool {
    matches!(kind, "A" | "AAAA" | "CNAME")
}

/// `GET …/dns_records`
pub(super) fn list(zone: &SimulatedZone, query: &Query<'_>) -> Outcome {
    let page = PageRequest::parse(query, &PAGES)?;
    let (kind, proxied) = (query.get("type"), query.get("proxied"));
    let shown: Vec<&DnsRecord> = zone
        .dns_records
        .iter()
        .filter(|record| kind.is_none_or(|kind| record.kind == kind))
        .filter(|record| proxied.is_none_or(|wish| record.proxied == (wish == "true")))
        .collect();
    let total = shown.len();
    Ok(page.render(shown.into_iter(), total, Row::from))
}

#[derive(Deserialize)]
struct NewRecord {
    r#type: String,
    name: String,
    content: String,
    #[serde(default)]
    proxied: bool,
}

/// `POST …/dns_records`
pub(super) fn create(zone: &mut SimulatedZone, body: &[u8]) -> Outcome {
    let wish: NewRecord = Failure::parse(body)?;
    let proxied = wish.proxied && is_proxiable(&wish.r#type);
    let record = DnsRecord::new(&wish.r#type, &wish.name, &wish.content, proxied);
    if zone.dns_records.iter().any(|known| known.id == record.id) {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            81058,
            "An identical record already exists.",
        ));
    }
    let answer = success(Row::from(&record));
    zone.dns_records.push(record);
    Ok(answer)
}

#[derive(Deserialize)]
struct ChangedRecord {
    r#type: Option<String>,
    name: Option<String>,
    content: Option<String>,
    proxied: Option<bool>,
}

/// `PUT` and `PATCH …/dns_records/{id}`
pub(super) fn change(zone: &mut SimulatedZone, id: &str, body: &[u8]) -> Outcome {
    let wish: ChangedRecord = Failure::parse(body)?;
    let record = zone.dns_records.iter_mut().find(|record| record.id == id);
    let record = record.ok_or_else(not_there)?;
    let set = |field: &mut String, value: Option<String>| *field = value.unwrap_or(field.clone());
    set(&mut record.kind, wish.r#type);
    set(&mut record.name, wish.name);
    set(&mut record.content, wish.content);
    record.proxied = wish.proxied.unwrap_or(record.proxied);
    Ok(success(Row::from(&*record)))
}

/// `DELETE …/dns_records/{id}`
pub(super) fn delete(zone: &mut SimulatedZone, id: &str) -> Outcome {
    let before = zone.dns_records.len();
    zone.dns_records.retain(|record| record.id != id);
    if zone.dns_records.len() == before {
        return Err(not_there());
    }
    Ok(success(json!({ "id": id })))
}

fn not_there() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, 81044, "Record does not exist.")
}
