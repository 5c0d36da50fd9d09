//! The state that Cloudflare would hold: accounts, credentials, zones and their settings.

mod credential;
mod load_balancer;
mod zone;

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

pub use credential::{Credential, CredentialStatus, Permission, Secret};
pub use load_balancer::{LoadBalancer, Pool, PoolOrigin};
pub use zone::{DnsRecord, SimulatedZone, zone_id_of};

use super::audit_log::AuditLog;
use super::regions;
use crate::domain::{Vendor, ZoneId};

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

/// 32 hexadecimal digits that are derived from a text: its 128-bit FNV-1a hash.
pub(super) fn stable_id(text: &str) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = text.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    format!("{hash:032x}")
}
