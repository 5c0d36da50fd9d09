//! TOML to a tree. The parser bounds the depth itself (80 levels) and refuses repeated keys.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::{ConfigError, MAX_NODES, Node, Place, ScalarKind, Value};

/// Parses a document.
pub(super) fn parse(text: &str, place: &Place) -> Result<Node, ConfigError> {
    let mut builder = Builder {
        newlines: text.match_indices('\n').map(|(offset, _)| offset).collect(),
        place,
        nodes: 0,
    };
    // Only the message: the error's own Display prints source lines, which may hold a secret.
    let table = DeTable::parse(text).map_err(|error| {
        let at = builder.at(&error.span().unwrap_or(0..0));
        ConfigError::whole(at, format!("is not valid TOML: {}", error.message()))
    })?;
    builder.table(table.get_ref(), &table.span())
}

struct Builder<'t> {
    /// Offsets of the line ends.
    newlines: Vec<usize>,
    place: &'t Place,
    nodes: usize,
}

impl Builder<'_> {
    fn at(&self, span: &Range<usize>) -> Place {
        let line = self.newlines.partition_point(|&end| end < span.start) + 1;
        self.place.at_line(line)
    }

    fn table(&mut self, table: &DeTable<'_>, span: &Range<usize>) -> Result<Node, ConfigError> {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts by name; people read by line.
        entries.sort_by_key(|(key, _)| key.span().start);
        let entries = entries
            .into_iter()
            .map(|(key, value)| Ok((key.get_ref().to_string(), self.node(value)?)))
            .collect::<Result<_, _>>()?;
        Ok(Node {
            value: Value::Map(entries),
            place: self.at(span),
        })
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Result<Node, ConfigError> {
        let place = self.at(&value.span());
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let problem = format!("has more than {MAX_NODES} values");
            return Err(ConfigError::whole(place, problem));
        }
        Ok(match value.get_ref() {
            DeValue::String(text) => Node::scalar(&**text, ScalarKind::Text, place),
            DeValue::Integer(number) => Node::scalar(decimal(number), ScalarKind::Number, place),
            DeValue::Float(number) => Node::scalar(number.as_str(), ScalarKind::Number, place),
            DeValue::Boolean(truth) => Node::scalar(truth.to_string(), ScalarKind::Boolean, place),
            DeValue::Datetime(time) => Node::scalar(time.to_string(), ScalarKind::Number, place),
            DeValue::Array(items) => Node {
                value: Value::List(
                    items
                        .iter()
                        .map(|item| self.node(item))
                        .collect::<Result<_, _>>()?,
                ),
                place,
            },
            DeValue::Table(table) => self.table(table, &value.span())?,
        })
    }
}

/// A number in base ten; one that no integer holds stays as it is and fits nowhere.
fn decimal(number: &DeInteger<'_>) -> String {
    i64::from_str_radix(number.as_str(), number.radix())
        .map_or_else(|_| number.as_str().to_owned(), |value| value.to_string())
}
