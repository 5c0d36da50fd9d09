//! Single values of the file: durations, addresses, paths, globs.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use ipnet::IpNet;
use url::{Host, Url};

use crate::cloudflare;
use crate::config_tree::{Field, Place};
use crate::snapshot::StaleAfter;
use crate::vendor_ranges::RangeSource;

/// The longest glob: twice the longest name, for what it escapes.
const MAX_GLOB_BYTES: usize = 510;

const DNS_PORT: u16 = 53;

/// One day.
pub(super) const DAY: Duration = Duration::from_hours(24);
/// One hour.
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// What a duration ought to look like.
const DURATION: &str = "a duration with its unit, such as \"90s\", \"5m\" or \"30d\"";

/// A duration within bounds, as humans write them.
pub(super) fn duration(field: &Field<'_>, bounds: &RangeInclusive<Duration>) -> Option<Duration> {
    field.parse(|text| parse_duration(text, bounds))
}

fn parse_duration(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    if in_months(text) {
        return Err(format!(
            "{DURATION}; a month has no fixed length (write days), and minutes are \"m\""
        ));
    }
    let duration = humantime::parse_duration(text.trim()).map_err(|_| DURATION.to_owned())?;
    if bounds.contains(&duration) {
        Ok(duration)
    } else {
        Err(format!(
            "a duration from {} to {}",
            show_duration(*bounds.start()),
            show_duration(*bounds.end())
        ))
    }
}

/// Whole days as days: the library makes months and years of them.
fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= DAY.as_secs() && seconds.is_multiple_of(DAY.as_secs()) {
        format!("{}days", seconds / DAY.as_secs())
    } else {
        humantime::format_duration(duration).to_string()
    }
}

/// Whether a unit is a month. `M` is one to the library, and minutes to many a person.
fn in_months(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic())
        .any(|unit| unit == "M" || unit.to_ascii_lowercase().starts_with("month"))
}

/// `never`, or an age.
pub(super) fn stale_after(field: &Field<'_>) -> Option<StaleAfter> {
    /// Older than a century is older than Cloudflare.
    const BOUNDS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(36_500 * 24);
    never_or(field, &BOUNDS, StaleAfter::Never, StaleAfter::Age)
}

/// `never`, or a duration within bounds.
pub(super) fn never_or<T>(
    field: &Field<'_>,
    bounds: &RangeInclusive<Duration>,
    never: T,
    age: impl FnOnce(Duration) -> T,
) -> Option<T> {
    field.parse(|text| {
        if text == "never" {
            return Ok(never);
        }
        parse_duration(text, bounds)
            .map(age)
            .map_err(|expected| format!("never, or {expected}"))
    })
}

/// A time that is counted in seconds at least, and in years at most.
pub(super) const SECONDS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(3_650 * 24);
/// How often an audit log is read.
pub(super) const AUDIT_LOG_INTERVAL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(7 * 24);

/// An address or a prefix. An IPv4 address in IPv6 form is the IPv4 address.
pub(super) fn prefix(field: &Field<'_>) -> Option<IpNet> {
    field.parse(|text| parse_prefix(text.trim()).ok_or("an address or a prefix (ADDRESS/LENGTH)"))
}

fn parse_prefix(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().ok()?,
    };
    let mapped = match network {
        IpNet::V6(network) => network
            .addr()
            .to_ipv4_mapped()
            .zip(network.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    match mapped {
        Some((address, length)) => IpNet::new(address.into(), length).ok(),
        None => Some(network),
    }
    .map(|network| network.trunc())
}

/// The address of a name server, with port 53 unless another is given.
pub(super) fn nameserver(field: &Field<'_>) -> Option<SocketAddr> {
    field.parse(|text| {
        let text = text.trim();
        let address = text
            .parse::<IpAddr>()
            .map(|ip| SocketAddr::new(ip, DNS_PORT));
        address
            .or_else(|_| text.parse())
            .map_err(|_| "ADDRESS or ADDRESS:PORT of a name server, IPv6 with a port in brackets")
    })
}

/// How often something is done: at least ten times a second, for tests, and at most once a week.
pub(super) const INTERVAL: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_hours(7 * 24);
/// What one request may take.
pub(super) const TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_mins(10);
/// How long last good data is served.
pub(super) const RETAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(365 * 24);
/// The window of a rate limit.
pub(super) const WINDOW: RangeInclusive<Duration> =
    Duration::from_millis(100)..=cloudflare::LONGEST_RATE_WINDOW;
/// How often range files are read again; the vendors publish them daily to weekly.
pub(super) const REFRESH: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_hours(30 * 24);

/// Where relative paths start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder<'p>(pub(super) &'p Path);

impl Folder<'_> {
    /// A path: of a file relative to its folder, of a variable to the working directory.
    pub(super) fn path(self, field: &Field<'_>) -> Option<PathBuf> {
        let text = field.text()?;
        if text.trim().is_empty() || text.contains('\0') {
            field.expected("the path of a file");
            return None;
        }
        Some(self.resolve(text, field.place()))
    }

    fn resolve(self, text: &str, place: &Place) -> PathBuf {
        match place {
            Place::File { .. } => self.0.join(text),
            Place::Variable(_) | Place::Environment | Place::Flag(_) => PathBuf::from(text),
        }
    }

    /// An http or https address, or a path.
    pub(super) fn range_source(self, field: &Field<'_>) -> Option<RangeSource> {
        let text = field.text()?.trim();
        if !text.contains("://") {
            return self.path(field).map(RangeSource::File);
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Some(RangeSource::Url(url)),
            _ => {
                field.expected("an http or https address, or the path of a file");
                None
            }
        }
    }
}

/// The API's address, without a slash at its end, and whether it sends credentials in the clear to
/// another host.
pub(super) fn base_url(field: &Field<'_>) -> Option<(Url, bool)> {
    const EXPECTED: &str = "an https address, such as \"https://api.cloudflare.com/client/v4\"";
    let url = field.parse(|text| Url::parse(text.trim()).map_err(|_| EXPECTED))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        field.expected(EXPECTED);
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        field.reject("expected an address without user and password");
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        field.expected("an address without query (\"?\") and fragment (\"#\")");
        return None;
    }
    let in_the_clear = url.scheme() == "http" && !is_this_host(&url);
    let mut url = url;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some((url, in_the_clear))
}

fn is_this_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}

/// A glob over names, in any case; `*` crosses dots.
pub(super) fn glob(field: &Field<'_>) -> Option<GlobMatcher> {
    field.parse(parse_glob)
}

fn parse_glob(text: &str) -> Result<GlobMatcher, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_GLOB_BYTES {
        return Err(format!("a name or glob of 1 to {MAX_GLOB_BYTES} bytes"));
    }
    GlobBuilder::new(text)
        .case_insensitive(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| format!("a name or glob: {}", error.kind()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rules of a glob of `*`, `?` and plain characters, written anew.
    fn matches(glob: &[u8], name: &[u8]) -> bool {
        match (glob, name) {
            ([b'*', glob @ ..], _) => (0..=name.len()).any(|end| matches(glob, &name[end..])),
            ([b'?', glob @ ..], [_, name @ ..]) => matches(glob, name),
            ([one, glob @ ..], [other, name @ ..]) => {
                one.eq_ignore_ascii_case(other) && matches(glob, name)
            }
            ([], name) => name.is_empty(),
            (_, []) => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_matches_what_its_rules_say(
            glob in "[abA.*?-]{1,6}", name in "[abAB.-]{0,8}", tail in "[ab.]{0,3}",
        ) {
            let matcher = parse_glob(&glob).unwrap();
            // Some names are made to fit.
            let made = glob.replace('*', &tail).replace('?', "b");
            for name in [name, made] {
                let expected = matches(glob.as_bytes(), name.as_bytes());
                prop_assert_eq!(matcher.is_match(&name), expected, "{} {}", glob, name);
            }
        }

        #[test]
        fn no_glob_ends_the_process(glob in "[ -~]{0,40}", name in "[a-z.]{0,20}") {
            if let Ok(matcher) = parse_glob(&glob) {
                matcher.is_match(&name);
            }
        }
    }
}
