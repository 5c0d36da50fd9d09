//! JSON to a tree.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{ConfigError, Node, Place, ScalarKind, Value};

/// Parses a document; the parser bounds the depth itself (128 levels).
pub(super) fn parse(text: &str, place: &Place) -> Result<Node, ConfigError> {
    let mut json = serde_json::Deserializer::from_str(text);
    Seed { place }
        .deserialize(&mut json)
        .and_then(|node| json.end().map(|()| node))
        // Errors of syntax name what was expected, never the value.
        .map_err(|error| ConfigError::whole(place.clone(), format!("is not valid JSON: {error}")))
}

#[derive(Clone, Copy)]
struct Seed<'p> {
    place: &'p Place,
}

impl Seed<'_> {
    fn node(self, value: Value) -> Node {
        Node {
            value,
            place: self.place.clone(),
        }
    }

    fn number(self, number: &impl ToString) -> Node {
        Node::scalar(number.to_string(), ScalarKind::Number, self.place.clone())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(self.node(Value::Null))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::scalar(
            truth.to_string(),
            ScalarKind::Boolean,
            self.place.clone(),
        ))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(self.number(&number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(self.number(&number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Ok(self.number(&number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::scalar(text, ScalarKind::Text, self.place.clone()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(self.node(Value::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value_seed(self)?));
        }
        Ok(self.node(Value::Map(entries)))
    }
}
