//! Single values of the file: durations, numbers, addresses, paths.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use tracing::Level;
use url::{Host, Url};

use super::LogFormat;
use crate::config_tree::{Located, Place, TEXT, parsed, parsed_types};
use crate::domain::{AccountName, HostName, OriginIp, Region, Vendor, ZoneGlob, ZoneId};
use crate::vendor_ranges::RangeSource;
use crate::web;

/// The expected form of a duration.
const DURATION: &str = "a duration with its unit, such as \"90s\", \"5m\" or \"30d\"";
const BASE_URL: &str = "https://api.cloudflare.com/client/v4";
const DNS_PORT: u16 = 53;
/// The longest secret; Cloudflare's tokens and keys have about 40 characters.
const MAX_SECRET_BYTES: usize = 4096;

pub(super) const SECOND: u64 = 1000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// A duration from `MIN` to `MAX` milliseconds, such as `5m`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within<const MIN: u64, const MAX: u64>(pub(super) Duration);

/// How often something runs: every 100 ms (for tests) to once a week.
pub(super) type Interval = Within<100, { 7 * DAY }>;
/// A period from a second to 3,650 days.
pub(super) type Period = Within<SECOND, { 3650 * DAY }>;

impl<const MIN: u64, const MAX: u64> Within<MIN, MAX> {
    fn parse(text: &str) -> Result<Self, String> {
        if in_months(text) {
            return Err(format!(
                "{DURATION}; a month has no fixed length (write days), and minutes are \"m\""
            ));
        }
        let duration = humantime::parse_duration(text.trim()).map_err(|_| DURATION.to_owned())?;
        let (min, max) = (Duration::from_millis(MIN), Duration::from_millis(MAX));
        if (min..=max).contains(&duration) {
            Ok(Self(duration))
        } else {
            Err(format!("a duration from {} to {}", show(min), show(max)))
        }
    }
}

/// Whether a unit is a month. `M` is a month to humantime, but minutes to many people.
fn in_months(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic())
        .any(|unit| unit == "M" || unit.to_ascii_lowercase().starts_with("month"))
}

/// Shows whole days as days; humantime would use months and years.
fn show(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= DAY / SECOND && seconds.is_multiple_of(DAY / SECOND) => {
            format!("{}days", seconds / (DAY / SECOND))
        }
        _ => humantime::format_duration(duration).to_string(),
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(TEXT, deserializer, Self::parse)
    }
}

/// A duration from `MIN` to `MAX` milliseconds, or `never`, which is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrNever<const MIN: u64, const MAX: u64>(pub(super) Option<Duration>);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for OrNever<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(TEXT, deserializer, |text| match text {
            "never" => Ok(Self(None)),
            text => Within::<MIN, MAX>::parse(text)
                .map(|Within(duration)| Self(Some(duration)))
                .map_err(|expected| format!("never, or {expected}")),
        })
    }
}

parsed_types! {
    /// A number greater than 0 and at most 1.
    pub(super) Share(f64) of NUMBER = |text| {
        let share = text.parse().ok();
        let share = share.filter(|share| *share > 0.0 && *share <= 1.0);
        share.ok_or("a number above 0 and at most 1")
    };
    /// A secret: text that is valid in a header. It is never shown.
    pub(super) Secret(SecretString) of SECRET = parse_secret;
    /// The name of an account.
    pub(super) Name(AccountName) = |text| {
        AccountName::parse(text).map_err(|error| format!("a name; this one {error}"))
    };
    /// The identifier of a zone.
    pub(super) Id(ZoneId) = |text| {
        ZoneId::parse(text).map_err(|error| format!("a zone id; this one {error}"))
    };
    /// An email address.
    pub(super) Email(String) = parse_email;
    /// A glob over zone names.
    pub(super) Glob(ZoneGlob) = ZoneGlob::parse;
    /// The address of an origin.
    pub(super) Address(OriginIp) = |text| OriginIp::parse(text).map_err(|_| "an IPv4 or IPv6 address");
    /// A host name.
    pub(super) OriginHost(HostName) = |text| HostName::parse(text.trim()).ok_or("a host name");
    /// A vendor that Cloudflare documents; any other is probably a typing error.
    pub(super) KnownVendor(Vendor) = |text| {
        let vendor = Vendor::parse(text).ok();
        let vendor = vendor.filter(|vendor| Vendor::KNOWN.contains(vendor));
        vendor.ok_or("one of aws, azure, gcp and oci")
    };
    /// A region.
    pub(super) RegionName(Region) = |text| {
        Region::parse(text).map_err(|error| format!("a region; this one {error}"))
    };
    /// An address or a prefix. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub(super) Prefix(IpNet) = |text| {
        parse_prefix(text.trim()).ok_or("an address or a prefix (ADDRESS/LENGTH)")
    };
    /// The address of a name server; the default port is 53.
    pub(super) NameServer(SocketAddr) = |text| {
        let text = text.trim();
        let address = text.parse::<IpAddr>();
        let address = address.map(|address| SocketAddr::new(address, DNS_PORT));
        address
            .or_else(|_| text.parse())
            .map_err(|_| "ADDRESS or ADDRESS:PORT of a name server, IPv6 with a port in brackets")
    };
    /// The base URL of the API, without a trailing slash.
    pub(super) BaseUrl(Url) = parse_base_url;
    /// A path as written.
    #[derive(Debug, Clone)]
    pub(super) FilePath(PathBuf) = parse_path;
    /// An address to listen on.
    #[derive(Debug, Clone)]
    pub(super) ListenAddress(String) = listen_address;
    /// The path of the metrics.
    #[derive(Debug, Clone)]
    pub(super) TelemetryPath(String) = telemetry_path;
    /// The format of the log.
    #[derive(Debug, Clone, Copy)]
    pub(super) LogFormatName(LogFormat) = |text| {
        LogFormat::parse(&text.to_ascii_lowercase()).ok_or("logfmt or json")
    };
    /// A level of the log.
    #[derive(Debug, Clone, Copy)]
    pub(super) LevelName(Level) = |text| match &*text.to_ascii_lowercase() {
        "trace" => Ok(Level::TRACE),
        "debug" => Ok(Level::DEBUG),
        "info" => Ok(Level::INFO),
        "warn" | "warning" => Ok(Level::WARN),
        "error" => Ok(Level::ERROR),
        _ => Err("trace, debug, info, warn or error"),
    };
    /// The number of a shard; `None` for the number at the end of the host's name.
    #[derive(Debug, Clone, Copy)]
    pub(super) ShardName(Option<u32>) = |text| match text {
        text if text.eq_ignore_ascii_case("auto") => Ok(None),
        text => text.parse().map(Some).map_err(|_| "a number from 0, or \"auto\""),
    };
    /// An http or https URL, or a path as written.
    pub(super) Source(RangeSource) = parse_source;
}

impl Default for BaseUrl {
    fn default() -> Self {
        Self(parse_base_url(BASE_URL).expect("a constant address"))
    }
}

fn parse_secret(text: &str) -> Result<SecretString, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_SECRET_BYTES {
        Err(format!("1 to {MAX_SECRET_BYTES} characters"))
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("letters, digits and signs, without white space".to_owned())
    } else {
        Ok(SecretString::from(text))
    }
}

/// An email address is sent in a header, so it must be visible ASCII, with an `@`.
fn parse_email(text: &str) -> Result<String, &'static str> {
    const MAX_BYTES: usize = 254;
    let text = text.trim();
    let fits = text.len() <= MAX_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
    if fits && text.contains('@') {
        Ok(text.to_owned())
    } else {
        Err("an e-mail address")
    }
}

fn parse_prefix(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(address)?;
    if let IpNet::V6(long) = network
        && let Some(address) = long.addr().to_ipv4_mapped()
        && let Some(length) = long.prefix_len().checked_sub(96)
    {
        return IpNet::new(address.into(), length)
            .ok()
            .map(|short| short.trunc());
    }
    Some(network.trunc())
}

fn parse_path(text: &str) -> Result<PathBuf, &'static str> {
    if text.trim().is_empty() || text.contains('\0') {
        Err("the path of a file")
    } else {
        Ok(PathBuf::from(text))
    }
}

fn parse_source(text: &str) -> Result<RangeSource, &'static str> {
    if !text.contains("://") {
        return parse_path(text).map(RangeSource::File);
    }
    let url = Url::parse(text.trim()).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .map(RangeSource::Url)
        .ok_or("an http or https address, or the path of a file")
}

fn parse_base_url(text: &str) -> Result<Url, &'static str> {
    const EXPECTED: &str = "an https address, such as \"https://api.cloudflare.com/client/v4\"";
    let mut url = Url::parse(text.trim()).map_err(|_| EXPECTED)?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(EXPECTED);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address without user and password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("an address without query (\"?\") and fragment (\"#\")");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

pub(super) fn listen_address(text: &str) -> Result<String, &'static str> {
    let address = web::is_listen_address(text).then(|| text.to_owned());
    address
        .ok_or("\"host:port\", \"[IPv6 address]:port\" or \":port\", with a port from 0 to 65535")
}

/// A path that does not collide with a built-in endpoint; `/` replaces the pages.
fn telemetry_path(text: &str) -> Result<String, &'static str> {
    let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'%');
    let taken = ["/-/", "/api/", "/docs/", "/zones/"];
    if !text.starts_with('/') || !text.bytes().all(is_plain) {
        Err("a path such as \"/metrics\", without \"?\", \"#\" and \"%\"")
    } else if text == "/probe" || taken.iter().any(|prefix| text.starts_with(prefix)) {
        Err("a path that is not another page's")
    } else {
        Ok(text.to_owned())
    }
}

/// Whether requests to this address stay on this host.
pub(super) fn is_this_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

/// Resolves relative paths: those in a file against its folder, those in a variable against the
/// working directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder<'p>(pub(super) &'p Path);

impl Folder<'_> {
    pub(super) fn path(self, path: Located<FilePath>) -> PathBuf {
        self.resolve(path.value.0, &path.at.place)
    }

    pub(super) fn source(self, source: Located<Source>) -> RangeSource {
        match source.value.0 {
            RangeSource::File(path) => RangeSource::File(self.resolve(path, &source.at.place)),
            url => url,
        }
    }

    fn resolve(self, path: PathBuf, place: &Place) -> PathBuf {
        match place {
            Place::File { .. } => self.0.join(path),
            Place::Variable(_) | Place::Environment | Place::Flag(_) => path,
        }
    }
}
