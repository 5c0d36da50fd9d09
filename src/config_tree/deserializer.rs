//! Deserializes values into serde types, and collects every mistake with its place and path.
//!
//! Serde stops at the first mistake. So each mistake is recorded, its value is cut out of the
//! document, and the document is deserialized again.

use std::{fmt, ptr};

use ::config::{Value, ValueKind};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::origin::{Origin, REPEATED, REPETITION};
use super::types::{LOCATED, LOCATION, Location, NUMBER, SECRET, TEXT};
use super::words::{is_keylike, join, shown, unknown_key};
use super::{ConfigError, ConfigErrors, Place};

/// Stops after this many mistakes. Each one costs another pass over the document.
const MAX_MISTAKES: usize = 100;

/// A document being read, and the mistakes found so far.
pub struct Reader {
    document: Value,
    mistakes: Vec<ConfigError>,
}

impl Reader {
    /// A reader of this document.
    pub fn new(document: Value) -> Self {
        Self {
            document,
            mistakes: Vec::new(),
        }
    }

    /// Deserializes the document without its invalid parts. Fails if there are too many mistakes.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<T, ConfigErrors> {
        for _ in 0..MAX_MISTAKES {
            let root = Node {
                value: &self.document,
                path: Path::Root,
            };
            let error = match T::deserialize(root) {
                Ok(value) => return Ok(value),
                Err(error) => root.locate(error),
            };
            if let Error::Located(address, mistake) = error {
                self.mistakes.push(*mistake);
                cut(&mut self.document, address);
            }
        }
        let problem = format!("has more than {MAX_MISTAKES} mistakes; these are the first");
        let place = Origin::of(&self.document).place.at_line(0);
        self.push(ConfigError::whole(place, problem));
        Err(ConfigErrors::sorted(std::mem::take(&mut self.mistakes)))
    }

    /// Adds a mistake.
    pub fn push(&mut self, mistake: ConfigError) {
        self.mistakes.push(mistake);
    }

    /// Adds mistakes.
    pub fn extend(&mut self, mistakes: impl IntoIterator<Item = ConfigError>) {
        self.mistakes.extend(mistakes);
    }

    /// Whether the value at this path, or a value inside it, is invalid and was cut out.
    pub fn is_wrong(&self, path: &str) -> bool {
        self.mistakes.iter().any(|mistake| {
            let rest = mistake.at.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// All mistakes; `None` if there were none.
    pub fn mistakes(self) -> Option<ConfigErrors> {
        (!self.mistakes.is_empty()).then(|| ConfigErrors::sorted(self.mistakes))
    }
}

/// Replaces the value at this address by one without kind and origin. List items are kept, so that
/// the others keep their indices.
fn cut(value: &mut Value, address: usize) -> bool {
    if ptr::from_ref(value).addr() == address {
        *value = Value::default();
        return true;
    }
    match &mut value.kind {
        ValueKind::Table(map) => map.values_mut().any(|value| cut(value, address)),
        ValueKind::Array(items) => items.iter_mut().any(|value| cut(value, address)),
        _ => false,
    }
}

fn is_cut(value: &Value) -> bool {
    value.kind == ValueKind::Nil && value.origin().is_none()
}

#[derive(Debug, Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn show(self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, key) => join(&parent.show(), key),
            Self::Index(parent, index) => format!("{}[{index}]", parent.show()),
        }
    }
}

/// A value and its path.
#[derive(Clone, Copy)]
struct Node<'a> {
    value: &'a Value,
    path: Path<'a>,
}

impl<'a> Node<'a> {
    /// The text of a scalar, and whether it is in quotes.
    fn scalar(&self) -> Option<(&'a str, bool)> {
        match &self.value.kind {
            ValueKind::String(text) => Some((text, Origin::of(self.value).quoted)),
            _ => None,
        }
    }

    /// Visits a map. With `known` keys it is a section, in which a key without a value counts as
    /// left out.
    fn visit_map<'de, V: Visitor<'de>>(
        &self,
        visitor: V,
        known: Option<&[&str]>,
    ) -> Result<V::Value, Error> {
        let map = match &self.value.kind {
            ValueKind::Table(map) => Some(map),
            ValueKind::Nil => None,
            _ => return Err(self.expected("a map")),
        };
        let mut entries = Vec::new();
        for (key, value) in map
            .into_iter()
            .flatten()
            .filter(|(_, value)| !is_cut(value))
        {
            if value.kind == REPEATED {
                let key = key.split(REPETITION).next().unwrap_or_default();
                return Err(self.wrong_key(key, value, "this key is there twice".to_owned()));
            }
            if let Some(known) = known.filter(|known| !known.contains(&key.as_str())) {
                let shown = if is_keylike(key) { key } else { "…" };
                return Err(self.wrong_key(shown, value, unknown_key(key, known)));
            }
            if known.is_none() || value.kind != ValueKind::Nil {
                let path = Path::Key(&self.path, key);
                entries.push((key.as_str(), Node { value, path }));
            }
        }
        visitor
            .visit_map(MapDeserializer::new(entries.into_iter()))
            .map_err(|error| self.locate(error))
    }

    fn visit_text<'de, V: Visitor<'de>>(&self, visitor: V, text: &str) -> Result<V::Value, Error> {
        visitor.visit_str(text).map_err(|error| self.locate(error))
    }

    fn expected(&self, what: &str) -> Error {
        self.locate(Error::custom(format_args!("expected {what}")))
    }

    fn wrong_key(&self, shown: &str, value: &Value, problem: String) -> Error {
        let at = Location {
            place: Origin::of(value).key_place(),
            path: Path::Key(&self.path, shown).show(),
        };
        Error::located(value, at.error(problem))
    }

    /// Adds this value's place to the error, unless it already has one. The value is shown if
    /// another was expected, except for text where a list or map belongs: it may be a misplaced
    /// secret.
    fn locate(&self, error: Error) -> Error {
        let Error::Problem(problem) = error else {
            return error;
        };
        let path = self.path.show();
        let misplaced = matches!(&*problem, "expected a list" | "expected a map");
        let found = match &self.value.kind {
            _ if !problem.starts_with("expected ") => None,
            ValueKind::Array(_) => Some("a list".to_owned()),
            ValueKind::Table(_) => Some("a map".to_owned()),
            ValueKind::String(_) if misplaced => Some("a text".to_owned()),
            ValueKind::String(text) => shown(&path, text),
            _ => Some("nothing".to_owned()),
        };
        let place = Origin::of(self.value).place;
        let at = Location { place, path };
        Error::located(self.value, ConfigError { at, problem, found })
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Error;

    /// All other types are read as text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value.kind {
            ValueKind::String(text) => self.visit_text(visitor, text),
            _ => Err(self.expected("a text")),
        }
    }

    /// `true` or `false`; a variable or a flag may also be one of the words of [`parse_boolean`].
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let in_file = matches!(Origin::of(self.value).place, Place::File { .. });
        let truth = match self.scalar() {
            Some((text, false)) if in_file => text.to_ascii_lowercase().parse().ok(),
            Some((text, false)) => parse_boolean(text),
            _ => None,
        };
        visitor.visit_bool(truth.ok_or_else(|| self.expected("true or false"))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value.kind {
            ValueKind::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let ValueKind::Array(items) = &self.value.kind else {
            return Err(self.expected("a list"));
        };
        let items = items.iter().enumerate();
        let items = items.filter(|(_, value)| !is_cut(value));
        let items = items.map(|(index, value)| Node {
            value,
            path: Path::Index(&self.path, index),
        });
        let visited = visitor.visit_seq(SeqDeserializer::new(items));
        visited.map_err(|error| self.locate(error))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_map(visitor, None)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == LOCATED {
            let fields = known.iter().map(|&field| (field, self));
            return visitor.visit_map(MapDeserializer::new(fields));
        }
        self.visit_map(visitor, Some(known))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (name, self.scalar()) {
            (LOCATION, _) => {
                let location = (Origin::of(self.value).place, self.path.show());
                let location = serde_json::to_string(&location).map_err(Error::custom)?;
                self.visit_text(visitor, &location)
            }
            (TEXT, _) => self.deserialize_any(visitor),
            (SECRET, Some((text, quoted))) if quoted || can_only_be_text(text) => {
                self.visit_text(visitor, text)
            }
            (SECRET, _) => Err(self.expected("a text in quotes")),
            (NUMBER, Some((text, false))) => self.visit_text(visitor, text),
            (NUMBER, _) => self.visit_text(visitor, ""),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Node<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// What is wrong with a value; once located, the value's address and the mistake to report.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Problem(String),
    #[error("{1}")]
    Located(usize, Box<ConfigError>),
}

impl Error {
    fn located(value: &Value, mistake: ConfigError) -> Self {
        Self::Located(ptr::from_ref(value).addr(), Box::new(mistake))
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::Problem(problem.to_string())
    }
}

/// The usual words for true and false.
fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Some(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}

/// Whether unquoted text cannot be read as a number or boolean by any other parser.
fn can_only_be_text(text: &str) -> bool {
    let is_boolean = matches!(&*text.to_ascii_lowercase(), "true" | "false" | "yes" | "no");
    text.parse::<f64>().is_err() && !is_boolean
}
