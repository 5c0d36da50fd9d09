//! The domain model: zones, origins, mappings. No I/O and no clock.
//!
//! Types are validated when they are parsed, so their values are always valid.

mod host_name;
mod host_state;
mod mappings;
mod names;
mod origin_ip;
mod place;
mod special_purpose;
mod spelling;
mod supported_regions;
pub mod timestamp;
mod vendor;
mod verdict;
mod zone;
mod zone_pattern;

pub use host_name::{HostName, RecordName};
pub use host_state::HostState;
pub use mappings::{ConflictingRows, Difference, Mapping, ZoneMappings};
pub use names::{AccountName, InvalidName, PoolId, Region, ZoneId, ZoneName};
pub use origin_ip::{InvalidOriginIp, OriginIp};
pub use place::ExpectedPlace;
pub use spelling::{same_region, same_vendor, usual_region};
pub use supported_regions::{SupportedRegion, SupportedRegions};
pub use vendor::Vendor;
pub use verdict::RangeVerdict;
pub use zone::Zone;
pub use zone_pattern::ZoneGlob;

/// Cloudflare's limit on mappings per zone (API reference, "origin cloud regions").
pub const MAPPINGS_PER_ZONE_LIMIT: u32 = 3500;
