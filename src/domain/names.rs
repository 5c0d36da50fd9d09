//! Short strings from outside that become labels: bounded, not empty, cheap to clone.

use std::borrow::Borrow;
use std::sync::Arc;

/// Why a string is not a valid name, id, vendor or region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Only white space.
    #[error("is empty")]
    Empty,
    /// Longer than its kind allows.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// The most bytes that are allowed.
        max: usize,
    },
    /// Contains a character that its kind does not allow.
    #[error("holds a character other than letters, digits, '-' and '_'")]
    BadCharacter,
}

/// Trims a label and checks that it is not empty and has at most `max` bytes.
pub(super) fn label(text: &str, max: usize) -> Result<Arc<str>, InvalidName> {
    let text = text.trim();
    if text.is_empty() {
        Err(InvalidName::Empty)
    } else if text.len() > max {
        Err(InvalidName::TooLong { max })
    } else {
        Ok(Arc::from(text))
    }
}

/// Checks a string that needs no escaping in a URL path: letters, digits, `-` and `_`.
fn path_segment(text: &str, max: usize) -> Result<Arc<str>, InvalidName> {
    let text = label(text, max)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.bytes().all(is_plain) {
        Ok(text)
    } else {
        Err(InvalidName::BadCharacter)
    }
}

/// Implements `Display` and serde for a type with `as_str`. `$parse` is its inverse.
macro_rules! as_text {
    ($name:ident, $parse:expr) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                $parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use as_text;

/// Defines a type for one kind of short string. `$check` accepts a string of at most `$max` bytes.
macro_rules! name_type {
    ($(#[$docs:meta])* $name:ident, $check:ident, $max:literal, $accepts:literal) => {
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = $accepts]
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                $check(text, $max).map(Self)
            }

            /// The string as given, without surrounding white space.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        as_text!($name, Self::parse);

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type! {
    /// The name of an account, as configured.
    AccountName, label, 100, "Accepts 1 to 100 bytes."
}

name_type! {
    /// A zone identifier. Cloudflare's are 32 hexadecimal digits.
    ZoneId, path_segment, 64, "Accepts 1 to 64 letters, digits, `-` and `_`."
}

name_type! {
    /// The name of a zone, such as `example.com`, as the API returns it. It may contain any
    /// character, so output must escape it. At most as long as a DNS name (RFC 1035, section
    /// 2.3.4).
    ZoneName, label, 255, "Accepts 1 to 255 bytes."
}

name_type! {
    /// A region of a vendor, such as `us-east-1`, as Cloudflare spells it. Clones share the string.
    Region, label, 100, "Accepts 1 to 100 bytes."
}

name_type! {
    /// The identifier of a load balancer pool.
    PoolId, label, 64, "Accepts 1 to 64 bytes."
}

impl From<&ZoneId> for ZoneName {
    /// Uses the identifier as the name, until the name is known.
    fn from(id: &ZoneId) -> Self {
        Self(Arc::clone(&id.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_not_empty_and_bounded() {
        assert_eq!(AccountName::parse(" prod ").unwrap().as_str(), "prod");
        assert_eq!(AccountName::parse("  "), Err(InvalidName::Empty));
        assert_eq!(
            AccountName::parse(&"x".repeat(101)),
            Err(InvalidName::TooLong { max: 100 })
        );
    }

    #[test]
    fn an_id_can_stand_in_a_path() {
        assert!(ZoneId::parse("023e105f4ecef8ad9ca31a8372d0c353").is_ok());
        for bad in ["", "a/b", "a?b", "..%2f", "a b", &"a".repeat(65)] {
            assert!(ZoneId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
