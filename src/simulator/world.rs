//! What Cloudflare would hold: accounts, credentials, zones and their settings.

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
/// When the mappings of [`World::zone`] were written.
const WRITTEN: Timestamp = Timestamp::constant(1_772_366_400, 0);

/// The state that the simulation serves. Tests change it at will.
#[derive(Clone)]
pub struct World {
    /// The accounts, by identifier.
    pub accounts: BTreeMap<String, Account>,
    /// Who may ask.
    pub credentials: Vec<Credential>,
    /// The zones; they are listed in this order.
    pub zones: BTreeMap<ZoneId, SimulatedZone>,
    /// The vendors and regions that a mapping may name.
    pub supported_regions: SupportedRegions,
    /// The limit that each credential has.
    pub rate_limit: RateLimit,
    /// How long every answer takes.
    pub latency: Duration,
    /// Whether answers are compressed for clients that accept it.
    pub gzip: bool,
    /// Cloudflare's own address ranges.
    pub cloudflare_ips: Vec<IpNet>,
    /// Files that are served beside the API, without authentication, by path (`/aws.json`).
    pub files: BTreeMap<String, StaticFile>,
}

/// An account at Cloudflare.
#[derive(Clone, Default)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its load balancer pools.
    pub pools: Vec<Pool>,
    /// What was written.
    pub audit_log: AuditLog,
}

/// A token or key, and what it is good for.
#[derive(Clone)]
pub struct Credential {
    /// Its identifier, which is no secret.
    pub id: String,
    /// What a client sends.
    pub secret: Secret,
    /// Whether it is accepted.
    pub status: CredentialStatus,
    /// When it expires, as the verification tells.
    pub expires_on: Option<Timestamp>,
    /// The accounts whose zones it sees; all of them where this is empty.
    pub accounts: BTreeSet<String>,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
}

/// How a client proves itself.
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
    /// Its owner switched it off.
    Disabled,
    /// Its time is over.
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
    /// Whether the smart topology is on; `None` where it was never set.
    pub smart_tiered_cache: Option<bool>,
    /// The DNS records.
    pub dns_records: Vec<DnsRecord>,
    /// The load balancers.
    pub load_balancers: Vec<LoadBalancer>,
    /// The Origin Rules, as the API writes them; `None` where there never were any.
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
    /// The name, the zone's included.
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
    /// A record that its owner manages. Its identifier follows from the other arguments.
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

/// A load balancer of a zone; pools are named by their identifiers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    /// Its identifier.
    pub id: String,
    /// The host name that it serves.
    pub name: String,
    /// Whether it works.
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
    /// One that works and is proxied, without pools.
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
    /// Whether it is used.
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
    /// Whether it is used.
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
    /// Whether Cloudflare could resolve the upper tiers' codes; where it could not, none are
    /// listed.
    pub obtained_codes: bool,
}

/// A region that a mapping may name.
#[derive(Clone)]
pub struct SupportedRegion {
    /// Its name.
    pub name: String,
    /// The codes of the upper tiers beside it.
    pub upper_tier_colos: Vec<String>,
}

/// A limit of requests for each credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a window.
    pub requests: u32,
    /// The window; it begins with the first request after the last one ended.
    pub window: Duration,
    /// How long every call is refused once the limit is passed.
    pub block: Duration,
}

impl RateLimit {
    /// Cloudflare's: 1,200 in five minutes, then five minutes of refusals.
    pub const CLOUDFLARE: Self = Self {
        requests: 1200,
        window: Duration::from_mins(5),
        block: Duration::from_mins(5),
    };
    /// One that no test reaches, for measurements.
    pub const NONE: Self = Self {
        requests: u32::MAX,
        window: Duration::from_mins(5),
        block: Duration::ZERO,
    };
}

/// A file that is served beside the API.
#[derive(Clone)]
pub struct StaticFile {
    /// Its content type.
    pub content_type: String,
    /// Its bytes.
    pub body: bytes::Bytes,
    /// Its entity tag, quotes included.
    pub etag: Option<String>,
}

impl World {
    /// A world without anything in it, but for the regions that Cloudflare supports, its own
    /// addresses and its rate limit.
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

    /// One account and one user's token that may do everything.
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

    /// Adds an active zone of the first account, with tiered caching on, and with mappings of
    /// address, vendor and region.
    ///
    /// # Panics
    ///
    /// If a literal is no zone name, address, vendor or region, or there is no account.
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
    /// If a literal is no zone name, address, vendor or region.
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

    /// The zone of this name.
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

    /// Takes the zone of this name out of its account.
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
    /// A user's token that sees every account and may do everything.
    pub fn user_token(id: &str, token: &str) -> Self {
        Self::new(id, Secret::UserToken(token.to_owned()))
    }

    /// A token that an account owns and that may do everything there.
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

    /// Lets it see these accounts alone.
    #[must_use]
    pub fn only_accounts<'a>(mut self, accounts: impl IntoIterator<Item = &'a str>) -> Self {
        self.accounts = accounts.into_iter().map(str::to_owned).collect();
        self
    }

    /// Takes a permission away.
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
    /// If the name is no zone name.
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

    /// Sets a mapping.
    ///
    /// # Panics
    ///
    /// If a literal is no address, vendor or region.
    pub fn map(&mut self, ip: &str, vendor: &str, region: &str, modified_on: Option<Timestamp>) {
        let mapping = Mapping {
            origin_ip: OriginIp::parse(ip).expect("an address"),
            vendor: Vendor::parse(vendor).expect("a vendor"),
            region: Region::parse(region).expect("a region"),
            modified_on,
        };
        self.mappings.insert(mapping.origin_ip, mapping);
    }

    /// Takes a mapping away.
    ///
    /// # Panics
    ///
    /// If the literal is no address.
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

    /// Adds an active page rule that overrides the resolution.
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

/// The identifier of a simulated zone: 32 hexadecimal digits that follow from its name.
///
/// # Panics
///
/// Never: hexadecimal digits are an identifier.
pub fn zone_id_of(name: &str) -> ZoneId {
    /// With this number the demo's few zones are spread evenly over up to four shards.
    const SALT: u32 = 237;
    let digits = stable_id(&format!("{name} {SALT}"));
    ZoneId::parse(&digits).expect("hexadecimal digits")
}

/// 32 hexadecimal digits that follow from a text: FNV-1a of 128 bits.
pub(super) fn stable_id(text: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = text.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:032x}")
}
