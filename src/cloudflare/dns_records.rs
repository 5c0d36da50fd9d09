//! The DNS records of a zone that may name origins.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::Client;
use super::envelope::{self, Interner, Lenient, Rows};
use super::list::ListCall;
use super::origin_target::OriginTarget;
use super::{ApiError, CallBudget, Operation};
use crate::domain::{RecordName, ZoneId};

/// An A, AAAA or CNAME record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// Its name; `None` if it is neither a host name nor a wildcard.
    pub name: Option<RecordName>,
    /// What it points to.
    pub target: OriginTarget,
    /// Whether Cloudflare proxies it.
    pub proxied: bool,
    /// Whether it is the custom domain of a Worker (`meta.origin_worker_id`), so that its content
    /// is not an origin.
    pub is_workers: bool,
    /// Whether Cloudflare manages it (`meta.read_only`), so that its content is not an origin.
    pub is_read_only: bool,
}

impl Client {
    /// The A, AAAA and CNAME records of a zone. The API filters by at most one type, so this reads
    /// records of all types, up to 5,000 per request.
    pub async fn dns_records(
        &self,
        zone: &ZoneId,
        call: &CallBudget,
    ) -> Result<Rows<DnsRecord>, ApiError> {
        let url = self.zone_url(zone, "dns_records");
        let records = |rows: Vec<Option<_>>| Ok(rows.into_iter().flatten().collect());
        self.list::<ListDnsRecords, _>(&url, call, records).await
    }
}

pub(super) struct ListDnsRecords;

#[derive(Deserialize)]
struct RecordRow {
    id: Lenient<String>,
    name: Lenient<String>,
    r#type: String,
    content: Lenient<String>,
    proxied: Lenient<bool>,
    meta: Lenient<Meta>,
}

#[derive(Default, Deserialize)]
struct Meta {
    origin_worker_id: Lenient<String>,
    read_only: Lenient<bool>,
}

impl ListCall for ListDnsRecords {
    const OPERATION: Operation = Operation::DnsRecords;
    /// The API allows more; a response of this size stays well below the body limit.
    const PER_PAGE: Option<u64> = Some(5000);
    /// Half a million records.
    const MAX_PAGES: u64 = 100;
    /// `None` if the record has another type.
    type Row = Option<DnsRecord>;
    type Key = String;

    fn read(row: &RawValue, _: &mut Interner) -> Result<(String, Self::Row), String> {
        let row: RecordRow = envelope::row(row, "a record with a type")?;
        let name = row.name.0.unwrap_or_default();
        let content = row.content.0.unwrap_or_default();
        let id = row.id.0;
        let id = id.unwrap_or_else(|| format!("{} {name} {content}", row.r#type));
        let target = match (row.r#type.as_str(), OriginTarget::parse(&content)) {
            ("A" | "AAAA", Some(target @ OriginTarget::Address(_)))
            | ("CNAME", Some(target @ OriginTarget::Host(_))) => target,
            ("A" | "AAAA", _) => return Err("the content is not an address".to_owned()),
            ("CNAME", _) => return Err("the content is not a host name".to_owned()),
            _ => return Ok((id, None)),
        };
        let meta = row.meta.0.unwrap_or_default();
        let record = DnsRecord {
            name: RecordName::parse(&name),
            target,
            proxied: row.proxied.0.unwrap_or(false),
            is_workers: meta.origin_worker_id.0.is_some_and(|id| !id.is_empty()),
            is_read_only: meta.read_only.0.unwrap_or(false),
        };
        Ok((id, Some(record)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{HostName, OriginIp};

    fn read(fields: &str) -> Result<Option<DnsRecord>, String> {
        let json = format!(r#"{{"id":"i","name":"*.Example.com",{fields}}}"#);
        let raw: &RawValue = serde_json::from_str(&json).unwrap();
        ListDnsRecords::read(raw, &mut Interner::default()).map(|(_, record)| record)
    }

    #[test]
    fn addresses_and_canonical_names_are_read_with_what_marks_them() {
        let record = read(r#""type":"AAAA","content":"2001:DB8::1","proxied":true"#);
        let record = record.unwrap().unwrap();
        let ip = OriginIp::parse("2001:db8::1").unwrap();
        assert_eq!(record.target, OriginTarget::Address(ip));
        assert_eq!(record.name.unwrap().to_string(), "*.example.com");
        assert!(record.proxied && !record.is_workers && !record.is_read_only);
        let record = read(r#""type":"CNAME","content":"Origin.Example.NET.","proxied":false"#);
        let host = HostName::parse("origin.example.net").unwrap();
        assert_eq!(record.unwrap().unwrap().target, OriginTarget::Host(host));
        let meta = r#""type":"A","content":"192.0.2.1","meta":"#;
        let of = |json: &str| read(&format!("{meta}{json}")).unwrap().unwrap();
        assert!(of(r#"{"origin_worker_id":"w","x":1}"#).is_workers);
        assert!(of(r#"{"read_only":true}"#).is_read_only);
        let plain = of("[]");
        assert!(!plain.is_workers && !plain.is_read_only && !plain.proxied);
    }

    #[test]
    fn other_types_name_no_origin_and_what_cannot_be_read_is_rejected() {
        for kind in ["TXT", "MX", "HTTPS"] {
            let fields = format!(r#""type":"{kind}","content":"192.0.2.1""#);
            assert_eq!(read(&fields), Ok(None), "{kind}");
        }
        for fields in [
            r#""type":"A","content":"www.example.com""#,
            r#""type":"A""#,
            r#""type":"CNAME","content":"192.0.2.1""#,
            r#""type":"CNAME","content":"a b""#,
            r#""content":"192.0.2.1""#,
        ] {
            assert!(read(fields).is_err(), "{fields}");
        }
    }
}
