//! The state that Cloudflare would hold: accounts, credentials, zones and their settings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audit_log::AuditLog;
use super::regions;
use crate::domain::{Mapping, OriginIp, Region, Vendor, Zone, ZoneId, ZoneName};

/// The identifier of the account that [`World::single_token`] makes.
pub(super) const FIRST_ACCOUNT: &str = "9a7806061c88ada191ed06f989cc3dac";
/// Some of Cloudflare's ranges.
const CLOUDFLARE_IPS: [&str; 4] = [
    "104.16.0.0/13",
    "172.64.0.0/13",
    "173.245.48.0/20",
    "2400:cb00::/32",
];
/// The modification time of the mappings of [`World::zone`].
const WRITTEN: Timestamp = Timestamp::constant(1_772_366_400, 0);

/// The state that the simulation serves. Tests change it freely.
#[derive(Clone)]
pub struct World {
    /// The accounts, by identifier.
    pub accounts: BTreeMap<String, Account>,
    /// The tokens and keys.
    pub credentials: Vec<Credential>,
    /// The zones, in the order in which they are listed.
    pub zones: BTreeMap<ZoneId, SimulatedZone>,
    /// The vendors and regions that a mapping may name.
    pub supported_regions: SupportedRegions,
    /// The rate limit of each credential.
    pub rate_limit: RateLimit,
    /// The time that every response takes.
    pub latency: Duration,
    /// Whether responses are compressed for clients that accept it.
    pub gzip: bool,
    /// Cloudflare's own address ranges.
    pub cloudflare_ips: Vec<IpNet>,
    /// Files that are served alongside the API, without authentication, by path (`/aws.json`).
    pub files: BTreeMap<String, StaticFile>,
}

/// An account at Cloudflare.
#[derive(Clone, Default)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its load balancer pools.
    pub pools: Vec<Pool>,
    /// Its audit log.
    pub audit_log: AuditLog,
}

/// A token or key, and what it gives access to.
#[derive(Clone)]
pub struct Credential {
    /// Its identifier, which is not secret.
    pub id: String,
    /// What a client sends.
    pub secret: Secret,
    /// Whether it is accepted.
    pub status: CredentialStatus,
    /// When it expires, as its verification reports.
    pub expires_on: Option<Timestamp>,
    /// The accounts whose zones it can see; empty for all of them.
    pub accounts: BTreeSet<String>,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
}

/// How a client authenticates.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// A user's token.
    UserToken(String),
    /// A token that an account owns.
    AccountToken {
        /// The token.
        token: String,
        /// The account's identifier.
        account: String,
    },
    /// A global API key.
    Key {
        /// The user's e-mail address.
        email: String,
        /// The key.
        key: String,
    },
}

/// The state of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CredentialStatus {
    /// It works.
    Active,
    /// Its owner disabled it.
    Disabled,
    /// It has expired.
    Expired,
}

/// What a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// List zones and get one.
    ZoneRead,
    /// Read mappings and tiered cache settings.
    ZoneSettingsRead,
    /// Write mappings and tiered cache settings.
    ZoneSettingsWrite,
    /// Read DNS records.
    DnsRead,
    /// Read a zone's load balancers.
    LoadBalancersRead,
    /// Read an account's load balancer pools.
    PoolsRead,
    /// Read Origin Rules.
    OriginRulesRead,
    /// Read Cloud Connector rules.
    CloudConnectorRead,
    /// Read page rules.
    PageRulesRead,
    /// Read an account's audit log.
    AccountSettingsRead,
    /// Write DNS records.
    DnsWrite,
    /// Write a zone's load balancers.
    LoadBalancersWrite,
    /// Write an account's load balancer pools.
    PoolsWrite,
    /// Write Origin Rules, Cloud Connector rules and page rules.
    RulesWrite,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 14] = [
        Self::ZoneRead,
        Self::ZoneSettingsRead,
        Self::ZoneSettingsWrite,
        Self::DnsRead,
        Self::LoadBalancersRead,
        Self::PoolsRead,
        Self::OriginRulesRead,
        Self::CloudConnectorRead,
        Self::PageRulesRead,
        Self::AccountSettingsRead,
        Self::DnsWrite,
        Self::LoadBalancersWrite,
        Self::PoolsWrite,
        Self::RulesWrite,
    ];
}

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

/// A load balancer of a zone. Pools are referred to by their identifiers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    /// Its identifier.
    pub id: String,
    /// The host name that it serves.
    pub name: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether Cloudflare proxies it.
    pub proxied: bool,
    /// The pools that are tried first.
    pub default_pools: Vec<String>,
    /// The pool that is used when no other works.
    pub fallback_pool: String,
    /// Pools by region.
    pub region_pools: BTreeMap<String, Vec<String>>,
    /// Pools by country.
    pub country_pools: BTreeMap<String, Vec<String>>,
    /// Pools by data centre.
    pub pop_pools: BTreeMap<String, Vec<String>>,
    /// Rules as the API writes them, with `overrides` that may name pools.
    pub rules: Vec<Value>,
    /// Pool sets as the API writes them, with `overrides` that may name pools.
    pub pool_sets: Vec<Value>,
}

impl Default for LoadBalancer {
    /// An enabled, proxied load balancer without pools.
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            enabled: true,
            proxied: true,
            default_pools: Vec::new(),
            fallback_pool: String::new(),
            region_pools: BTreeMap::new(),
            country_pools: BTreeMap::new(),
            pop_pools: BTreeMap::new(),
            rules: Vec::new(),
            pool_sets: Vec::new(),
        }
    }
}

/// A load balancer pool of an account.
#[derive(Clone, Deserialize)]
pub struct Pool {
    /// Its identifier.
    #[serde(default)]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is enabled.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Its origins.
    pub origins: Vec<PoolOrigin>,
}

/// An origin of a pool.
#[derive(Clone, Deserialize)]
pub struct PoolOrigin {
    /// Its name.
    pub name: String,
    /// An address or a host name.
    pub address: String,
    /// Whether it is enabled.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The virtual network through which it is reached.
    #[serde(default)]
    pub virtual_network_id: Option<String>,
}

fn yes() -> bool {
    true
}

/// The vendors and regions that a mapping may name.
#[derive(Clone)]
pub struct SupportedRegions {
    /// The regions, by vendor.
    pub vendors: BTreeMap<Vendor, Vec<SupportedRegion>>,
    /// Whether Cloudflare could resolve the upper tiers' codes. If not, none are listed.
    pub obtained_codes: bool,
}

/// A region that a mapping may name.
#[derive(Clone)]
pub struct SupportedRegion {
    /// Its name.
    pub name: String,
    /// The codes of the nearby upper tiers.
    pub upper_tier_colos: Vec<String>,
}

/// A limit of requests for each credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a window.
    pub requests: u32,
    /// The window. It begins with the first request after the previous one ended.
    pub window: Duration,
    /// How long every call is rejected after the limit is exceeded.
    pub block: Duration,
}

impl RateLimit {
    /// Cloudflare's limit: 1,200 in five minutes, then rejections for five minutes.
    pub const CLOUDFLARE: Self = Self {
        requests: 1200,
        window: Duration::from_mins(5),
        block: Duration::from_mins(5),
    };
    /// A limit that is never reached, for measurements.
    pub const NONE: Self = Self {
        requests: u32::MAX,
        window: Duration::from_mins(5),
        block: Duration::ZERO,
    };
}

/// A file that is served alongside the API.
#[derive(Clone)]
pub struct StaticFile {
    /// Its content type.
    pub content_type: String,
    /// Its bytes.
    pub body: bytes::Bytes,
    /// Its entity tag, including the quotes.
    pub etag: Option<String>,
}

impl World {
    /// An empty world, except for the regions that Cloudflare supports, its own addresses and its
    /// rate limit.
    ///
    /// # Panics
    ///
    /// Never: the ranges are literals.
    pub fn empty() -> Self {
        Self {
            accounts: BTreeMap::new(),
            credentials: Vec::new(),
            zones: BTreeMap::new(),
            supported_regions: regions::supported(),
            rate_limit: RateLimit::CLOUDFLARE,
            latency: Duration::ZERO,
            gzip: true,
            cloudflare_ips: CLOUDFLARE_IPS
                .map(|range| range.parse().expect("a range"))
                .into(),
            files: BTreeMap::new(),
        }
    }

    /// One account, and one user's token with all permissions.
    pub fn single_token(token: &str) -> Self {
        Self::empty()
            .account(FIRST_ACCOUNT, "Example Company")
            .credential(Credential::user_token("token-1", token))
    }

    /// Adds an account.
    #[must_use]
    pub fn account(mut self, id: &str, name: &str) -> Self {
        let account = Account {
            name: name.to_owned(),
            ..Account::default()
        };
        self.accounts.insert(id.to_owned(), account);
        self
    }

    /// Adds a credential.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// Adds an active zone of the first account, with tiered caching on, and with mappings given as
    /// address, vendor and region.
    ///
    /// # Panics
    ///
    /// If a name, address, vendor or region is invalid, or there is no account.
    #[must_use]
    pub fn zone<'a>(
        self,
        name: &str,
        mappings: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> Self {
        let account = self.accounts.keys().next().expect("an account").clone();
        self.zone_of(&account, name, mappings)
    }

    /// Like [`World::zone`], for the account with the given identifier.
    ///
    /// # Panics
    ///
    /// If a name, address, vendor or region is invalid.
    #[must_use]
    pub fn zone_of<'a>(
        mut self,
        account: &str,
        name: &str,
        mappings: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> Self {
        let mut zone = SimulatedZone::new(name, account);
        for (ip, vendor, region) in mappings {
            zone.map(ip, vendor, region, Some(WRITTEN));
        }
        self.zones.insert(zone.zone.id.clone(), zone);
        self
    }

    /// The zone with this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn zone_mut(&mut self, name: &str) -> &mut SimulatedZone {
        self.zones
            .values_mut()
            .find(|zone| zone.zone.name.as_str() == name)
            .expect("a zone of this name")
    }

    /// Removes the zone with this name.
    pub fn remove_zone(&mut self, name: &str) -> Option<SimulatedZone> {
        let id = self
            .zones
            .values()
            .find(|zone| zone.zone.name.as_str() == name)?
            .zone
            .id
            .clone();
        self.zones.remove(&id)
    }
}

impl Credential {
    /// A user's token with all permissions for every account.
    pub fn user_token(id: &str, token: &str) -> Self {
        Self::new(id, Secret::UserToken(token.to_owned()))
    }

    /// A token that an account owns, with all permissions there.
    pub fn account_token(id: &str, token: &str, account: &str) -> Self {
        let secret = Secret::AccountToken {
            token: token.to_owned(),
            account: account.to_owned(),
        };
        Self::new(id, secret).only_accounts([account])
    }

    /// A user's global API key.
    pub fn key(id: &str, email: &str, key: &str) -> Self {
        let secret = Secret::Key {
            email: email.to_owned(),
            key: key.to_owned(),
        };
        Self::new(id, secret)
    }

    fn new(id: &str, secret: Secret) -> Self {
        Self {
            id: id.to_owned(),
            secret,
            status: CredentialStatus::Active,
            expires_on: None,
            accounts: BTreeSet::new(),
            permissions: Permission::ALL.into(),
        }
    }

    /// Limits it to these accounts.
    #[must_use]
    pub fn only_accounts<'a>(mut self, accounts: impl IntoIterator<Item = &'a str>) -> Self {
        self.accounts = accounts.into_iter().map(str::to_owned).collect();
        self
    }

    /// Removes a permission.
    #[must_use]
    pub fn without(mut self, permission: Permission) -> Self {
        self.permissions.remove(&permission);
        self
    }

    pub(super) fn sees_account(&self, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    pub(super) fn sees(&self, zone: &SimulatedZone) -> bool {
        self.sees_account(zone.zone.owner.as_deref().unwrap_or_default())
    }
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

/// 32 hexadecimal digits that are derived from a text: its 128-bit FNV-1a hash.
pub(super) fn stable_id(text: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = text.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:032x}")
}
