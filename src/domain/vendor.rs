//! Cloud vendors.

use std::sync::Arc;

use super::names::{InvalidName, as_text, label};

/// A cloud vendor, as Cloudflare names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vendor {
    /// Amazon Web Services.
    Aws,
    /// Microsoft Azure.
    Azure,
    /// Google Cloud.
    Gcp,
    /// Oracle Cloud Infrastructure.
    Oci,
    /// A vendor unknown to this program, with the name from the API.
    Other(Arc<str>),
}

impl Vendor {
    /// The vendors that Cloudflare documents.
    pub const KNOWN: [Self; 4] = [Self::Aws, Self::Azure, Self::Gcp, Self::Oci];
    const MAX_BYTES: usize = 100;

    /// Parses a name of 1 to 100 bytes; known names match in any case.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let is_name = |known: &Self| known.as_str().eq_ignore_ascii_case(text.trim());
        match Self::KNOWN.into_iter().find(is_name) {
            Some(known) => Ok(known),
            None => label(text, Self::MAX_BYTES).map(Self::Other),
        }
    }

    /// The name as Cloudflare spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Oci => "oci",
            Self::Other(name) => name,
        }
    }
}

as_text!(Vendor, Self::parse);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vendors_are_known_in_any_case_and_others_keep_their_name() {
        assert_eq!(Vendor::parse("aws"), Ok(Vendor::Aws));
        assert_eq!(Vendor::parse("AWS"), Ok(Vendor::Aws));
        assert_eq!(Vendor::parse("Hetzner").unwrap().as_str(), "Hetzner");
        assert_eq!(Vendor::parse(" "), Err(InvalidName::Empty));
    }
}
