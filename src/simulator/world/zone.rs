//! A zone with its mappings, records and rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{LoadBalancer, stable_id};
use crate::domain::{Mapping, OriginIp, Region, Vendor, Zone, ZoneId, ZoneName};

/// A zone and everything in it.
#[derive(Clone)]
pub struct SimulatedZone {
    /// Name, status, plan and owning account.
    pub zone: Zone,
    /// The mappings, by address.
    pub mappings: BTreeMap<OriginIp, Mapping>,
    /// Whether tiered caching is on.
    pub tiered_cache: bool,
    /// Whether the smart topology is on; `None` if it was never set.
    pub smart_tiered_cache: Option<bool>,
    /// The DNS records.
    pub dns_records: Vec<DnsRecord>,
    /// The load balancers.
    pub load_balancers: Vec<LoadBalancer>,
    /// The Origin Rules, as the API writes them; `None` if there never were any.
    pub origin_rules: Option<Vec<Value>>,
    /// The Cloud Connector rules, as the API writes them.
    pub cloud_connector_rules: Vec<Value>,
    /// The page rules, as the API writes them.
    pub page_rules: Vec<Value>,
}

impl SimulatedZone {
    /// An active zone without mappings and with tiered caching on.
    ///
    /// # Panics
    ///
    /// If the name is invalid.
    pub fn new(name: &str, account: &str) -> Self {
        let zone = Zone {
            id: zone_id_of(name),
            name: ZoneName::parse(name).expect("a zone name"),
            status: Arc::from("active"),
            plan: Arc::from("Enterprise Website"),
            owner: Some(Arc::from(account)),
        };
        Self {
            zone,
            mappings: BTreeMap::new(),
            tiered_cache: true,
            smart_tiered_cache: Some(true),
            dns_records: Vec::new(),
            load_balancers: Vec::new(),
            origin_rules: None,
            cloud_connector_rules: Vec::new(),
            page_rules: Vec::new(),
        }
    }

    /// Adds or replaces a mapping.
    ///
    /// # Panics
    ///
    /// If the address, vendor or region is invalid.
    pub fn map(&mut self, ip: &str, vendor: &str, region: &str, modified_on: Option<Timestamp>) {
        let mapping = Mapping {
            origin_ip: OriginIp::parse(ip).expect("an address"),
            vendor: Vendor::parse(vendor).expect("a vendor"),
            region: Region::parse(region).expect("a region"),
            modified_on,
        };
        self.mappings.insert(mapping.origin_ip, mapping);
    }

    /// Removes a mapping.
    ///
    /// # Panics
    ///
    /// If the address is invalid.
    pub fn unmap(&mut self, ip: &str) -> Option<Mapping> {
        self.mappings
            .remove(&OriginIp::parse(ip).expect("an address"))
    }

    /// Adds a DNS record that its owner manages.
    pub fn record(&mut self, kind: &str, name: &str, content: &str, proxied: bool) {
        let record = DnsRecord::new(kind, name, content, proxied);
        self.dns_records.push(record);
    }

    /// Adds an enabled Origin Rule that sends requests to a host.
    pub fn origin_rule(&mut self, host: &str) {
        let rule = json!({
            "id": stable_id(host),
            "version": "1",
            "action": "route",
            "action_parameters": {"origin": {"host": host}},
            "expression": "true",
            "enabled": true,
        });
        self.origin_rules.get_or_insert_default().push(rule);
    }

    /// Adds an enabled Cloud Connector rule; `provider` is `aws_s3`, `cloudflare_r2`, ….
    pub fn cloud_connector_rule(&mut self, provider: &str, host: &str) {
        self.cloud_connector_rules.push(json!({
            "id": stable_id(host),
            "provider": provider,
            "parameters": {"host": host},
            "expression": "true",
            "enabled": true,
        }));
    }

    /// Adds an active page rule with a resolve override.
    pub fn page_rule(&mut self, host: &str) {
        self.page_rules.push(json!({
            "id": stable_id(host),
            "status": "active",
            "priority": 1,
            "targets": [{"target": "url",
                         "constraint": {"operator": "matches", "value": "*/*"}}],
            "actions": [{"id": "resolve_override", "value": host}],
        }));
    }
}

/// A DNS record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// Its identifier.
    pub id: String,
    /// `A`, `AAAA`, `CNAME`, …
    pub kind: String,
    /// The name, including the zone's.
    pub name: String,
    /// The address or host.
    pub content: String,
    /// Whether Cloudflare proxies it.
    pub proxied: bool,
    /// The Worker whose custom domain it is.
    pub worker: Option<String>,
    /// Whether Cloudflare manages it.
    pub read_only: bool,
}

impl DnsRecord {
    /// A record that its owner manages. Its identifier is derived from the other arguments.
    pub fn new(kind: &str, name: &str, content: &str, proxied: bool) -> Self {
        Self {
            id: stable_id(&format!("{name} {kind} {content}")),
            kind: kind.to_owned(),
            name: name.to_owned(),
            content: content.to_owned(),
            proxied,
            worker: None,
            read_only: false,
        }
    }
}

/// The identifier of a simulated zone: 32 hexadecimal digits that are derived from its name.
///
/// # Panics
///
/// Never: hexadecimal digits are an identifier.
pub fn zone_id_of(name: &str) -> ZoneId {
    /// With this number the demo's few zones are distributed evenly over up to four shards.
    const SALT: u32 = 237;
    let digits = stable_id(&format!("{name} {SALT}"));
    ZoneId::parse(&digits).expect("hexadecimal digits")
}
