//! Parses TOML into values. The parser limits the depth (80 levels) and rejects repeated keys.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use ::config::{Map, Value};

use super::origin::{insert, plain, scalar};
use super::{ConfigError, MAX_NODES, Place};

/// Parses a document.
pub(super) fn parse(text: &str, place: &Place) -> Result<Value, ConfigError> {
    let mut builder = Builder {
        newlines: text.match_indices('\n').map(|(offset, _)| offset).collect(),
        place,
        nodes: 0,
    };
    // Use only the message: the error's `Display` quotes source lines, which may contain a secret.
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
    fn line(&self, span: &Range<usize>) -> usize {
        self.newlines.partition_point(|&end| end < span.start) + 1
    }

    fn at(&self, span: &Range<usize>) -> Place {
        self.place.at_line(self.line(span))
    }

    fn table(&mut self, table: &DeTable<'_>, span: &Range<usize>) -> Result<Value, ConfigError> {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts by name; restore the order of the document.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut map = Map::new();
        for (key, value) in entries {
            let value = self.node(value)?;
            let line = self.line(&key.span());
            insert(&mut map, key.get_ref().to_string(), line, value);
        }
        Ok(plain(map, self.at(span)))
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Result<Value, ConfigError> {
        let place = self.at(&value.span());
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let problem = format!("has more than {MAX_NODES} values");
            return Err(ConfigError::whole(place, problem));
        }
        Ok(match value.get_ref() {
            DeValue::String(text) => scalar(text.to_string(), true, place),
            DeValue::Integer(number) => plain(decimal(number), place),
            DeValue::Float(number) => plain(number.as_str(), place),
            DeValue::Boolean(truth) => plain(truth.to_string(), place),
            DeValue::Datetime(time) => plain(time.to_string(), place),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.node(item));
                plain(items.collect::<Result<Vec<_>, _>>()?, place)
            }
            DeValue::Table(table) => self.table(table, &value.span())?,
        })
    }
}

/// An integer in base ten. One that does not fit `i64` is left as it is, and fails later.
fn decimal(number: &DeInteger<'_>) -> String {
    i64::from_str_radix(number.as_str(), number.radix())
        .map_or_else(|_| number.as_str().to_owned(), |value| value.to_string())
}
