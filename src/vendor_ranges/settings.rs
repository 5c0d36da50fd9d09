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
    /// Whether the ranges are used at all.
    pub enabled: bool,
    /// How often each file is read again.
    pub refresh: Duration,
    /// The source of each vendor's file. A vendor that is left out has its published address.
    pub sources: BTreeMap<Vendor, RangeSource>,
}

/// The source of a range file. An address may contain a password or a signature, so its user,
/// password, query and fragment are never shown, not even by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum RangeSource {
    /// An http or https address.
    Url(Url),
    /// A file on this machine.
    File(PathBuf),
    /// An http or https page that links to the file, whose address changes every week: Azure's
    /// download page. Only links to Microsoft's download host and to the page's own origin are
    /// accepted.
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
