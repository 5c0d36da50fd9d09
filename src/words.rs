//! Enums whose values have words in labels, logs and JSON.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Visitor};

/// An enum whose values have words. Implemented by [`words!`].
pub(crate) trait Word: Sized {
    /// The value with this word.
    fn from_word(word: &str) -> Option<Self>;
}

/// Defines an enum with a word for each value, which is also its form in JSON. The values are in
/// order.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$doc:meta])* $value:ident = $word:literal,)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $visibility enum $name {
            $($(#[$doc])* $value,)*
        }

        impl $name {
            /// Every value, in order.
            $visibility const ALL: [Self; [$($word),*].len()] = [$(Self::$value),*];

            /// The word in labels, logs and JSON.
            $visibility const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }

            /// The value with this word.
            $visibility fn parse(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == word)
            }
        }

        impl $crate::words::Word for $name {
            fn from_word(word: &str) -> Option<Self> {
                Self::parse(word)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                $crate::words::deserialize(source)
            }
        }
    };
}
pub(crate) use words;

/// Reads a value by its word.
pub(crate) fn deserialize<'de, T: Word, D: Deserializer<'de>>(source: D) -> Result<T, D::Error> {
    source.deserialize_str(WordVisitor(PhantomData))
}

struct WordVisitor<T>(PhantomData<T>);

impl<T: Word> Visitor<'_> for WordVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a known word")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        T::from_word(word).ok_or_else(|| E::custom(format_args!("unknown word {word:?}")))
    }
}
