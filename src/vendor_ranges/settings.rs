//! Where the ranges come from, and how often they are read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::domain::Vendor;

/// How the published ranges are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether they are used at all.
    pub enabled: bool,
    /// How often each file is read again.
    pub refresh: Duration,
    /// Where each known vendor's file is; the vendor's own address where it is left out.
    pub sources: BTreeMap<Vendor, RangeSource>,
}

/// The place of a range file. An address may hold a password or a signature: shown, also by
/// `Debug`, is neither its user, its password, its query nor its fragment.
#[derive(Clone, PartialEq, Eq)]
pub enum RangeSource {
    /// An http or https address.
    Url(Url),
    /// A file of this machine.
    File(PathBuf),
    /// An http or https page that links to the file, whose address changes every week: Azure's
    /// download page. Links to Microsoft's download host and to the page's own origin count.
    DownloadPage(Url),
}

impl fmt::Display for RangeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) | Self::DownloadPage(url) => {
                let port = url.port().map_or(String::new(), |port| format!(":{port}"));
                let host = url.host_str().unwrap_or_default();
                write!(f, "{}://{host}{port}{}", url.scheme(), url.path())
            }
        }
    }
}

impl fmt::Debug for RangeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_shown_without_what_may_be_secret() {
        let url =
            Url::parse("https://user:hunter2@ranges.example:8443/aws.json?sig=hunter2#hunter2")
                .unwrap();
        for source in [
            RangeSource::Url(url.clone()),
            RangeSource::DownloadPage(url),
        ] {
            assert_eq!(source.to_string(), "https://ranges.example:8443/aws.json");
            assert!(!format!("{source:?}").contains("hunter2"));
        }
    }
}
