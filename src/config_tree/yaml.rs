//! Builds values from YAML events.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use ::config::{Map, Value, ValueKind};

use super::origin::{insert, plain, scalar};
use super::{ConfigError, MAX_DEPTH, MAX_NODES, Place};

/// Parses at most one document.
pub(super) fn parse(text: &str, place: &Place) -> Result<Value, ConfigError> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        nodes: 0,
        place,
    };
    let mut document = None;
    loop {
        let (event, at) = builder.next()?;
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if document.is_some() => {
                return Err(builder.error(at, "expected one document, found a second one"));
            }
            event => document = Some(builder.node(event, at, 0)?),
        }
    }
    Ok(document.unwrap_or_else(|| plain(ValueKind::Nil, place.clone())))
}

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// The value behind each anchor, and its number of nodes.
    anchors: BTreeMap<usize, (Value, usize)>,
    nodes: usize,
    place: &'t Place,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Marker), ConfigError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            // The parser's messages name what it expected and never quote the source.
            Some(Err(error)) => {
                // Variables contain JSON, which is a subset of YAML.
                let language = match self.place {
                    Place::Variable(_) => "JSON",
                    _ => "YAML",
                };
                let problem = format!("is not valid {language}: {}", error.info());
                Err(self.error(*error.marker(), problem))
            }
            None => Ok((Event::StreamEnd, Marker::new(0, 0, 0))),
        }
    }

    fn node(&mut self, event: Event<'t>, at: Marker, depth: usize) -> Result<Value, ConfigError> {
        if depth > MAX_DEPTH {
            return Err(self.error(at, format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        let before = self.nodes;
        self.count(1, at)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(text, style, tag.as_deref(), at)?, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", at)?;
                (self.list(at, depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", at)?;
                (self.map(at, depth)?, anchor)
            }
            Event::Alias(anchor) => {
                let Some(&(_, size)) = self.anchors.get(&anchor) else {
                    return Err(self.error(at, "an alias may not be inside what it repeats"));
                };
                self.count(size, at)?;
                let repeated = self.anchors.get(&anchor).map(|(value, _)| value.clone());
                return Ok(repeated.unwrap_or_default());
            }
            _ => return Err(self.error(at, "the document ends in the middle of a value")),
        };
        if anchor > 0 {
            let size = self.nodes - before;
            self.count(size, at)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok(value)
    }

    fn list(&mut self, at: Marker, depth: usize) -> Result<Value, ConfigError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(plain(items, self.at(at))),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, at: Marker, depth: usize) -> Result<Value, ConfigError> {
        let mut entries = Map::new();
        loop {
            let (key, key_line) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(plain(entries, self.at(at))),
                (Event::Scalar(text, ScalarStyle::Plain, ..), at) if text == "<<" => {
                    return Err(self.error(at, "merge keys (\"<<\") are not supported"));
                }
                (Event::Scalar(text, ..), at) => (text.into_owned(), at.line()),
                (_, at) => return Err(self.error(at, "a key must be a text")),
            };
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            insert(&mut entries, key, key_line, value);
        }
    }

    fn scalar(
        &self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: Marker,
    ) -> Result<Value, ConfigError> {
        let quoted = style != ScalarStyle::Plain || tag.is_some();
        self.refuse_tag(tag, "str", at)?;
        if !quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
            return Ok(plain(ValueKind::Nil, self.at(at)));
        }
        Ok(scalar(text.into_owned(), quoted, self.at(at)))
    }

    fn refuse_tag(&self, tag: Option<&Tag>, allowed: &str, at: Marker) -> Result<(), ConfigError> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == allowed) => {
                Err(self.error(at, "tags (\"!…\") are not supported"))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, more: usize, at: Marker) -> Result<(), ConfigError> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(self.error(at, format!("has more than {MAX_NODES} values")));
        }
        Ok(())
    }

    fn error(&self, at: Marker, problem: impl Into<String>) -> ConfigError {
        ConfigError::whole(self.at(at), problem)
    }

    fn at(&self, at: Marker) -> Place {
        self.place.at_line(at.line())
    }
}
