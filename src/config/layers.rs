//! The layers of the configuration, lowest first: the default account from the environment, the
//! file, then the environment variables with double underscores.
//!
//! Each layer replaces values as a whole, whereas `config` would merge a variable's map with the
//! file's.

use ::config::{Config, Map, Source, Value, ValueKind};

use super::accounts::{CREDENTIALS, credential_variable};
use super::environment::Environment;
use crate::config_tree::{ConfigError, Format, Place, Reader, plain, scalar, unknown_key};

pub(super) const PREFIX: &str = "ORIGIN_REGION_EXPORTER__";

/// The keys that a variable sets to a single value.
const SCALARS: &str = "poll.interval poll.discovery_interval poll.concurrency poll.timeout \
    poll.retries poll.retain cloudflare.base_url cloudflare.ca_file \
    cloudflare.rate_limit.requests cloudflare.rate_limit.window cloudflare.rate_limit.share \
    mappings.detail mappings.stale_after expect.from_dns expect.from_load_balancers \
    expect.from_rules expect.unused_after hosts.window hosts.rotating_above audit_log.enabled \
    audit_log.interval audit_log.actors history.retain verify.supported_regions \
    verify.tiered_cache verify.vendor_ranges.enabled verify.vendor_ranges.refresh \
    verify.vendor_ranges.sources.aws verify.vendor_ranges.sources.azure \
    verify.vendor_ranges.sources.gcp verify.vendor_ranges.sources.oci";

/// The lists and maps keyed by name. A variable replaces them as a whole, with JSON.
const COMPOSITES: &str = "accounts expect.zones expect.ignore hosts.nameservers \
    verify.vendor_ranges.sources zone_overrides";

/// Every known variable with double underscores.
pub(super) fn variables() -> impl Iterator<Item = String> {
    let paths = SCALARS.split(' ').chain(COMPOSITES.split(' '));
    paths.map(|path| format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__")))
}

/// Merges all layers, and reports invalid variables.
pub(super) fn merge(file: Value, environment: &Environment) -> Reader {
    let (variables, mistakes) = read_variables(environment);
    let accounts = (vec!["accounts".to_owned()], accounts(environment));
    let layers = [
        Layer(vec![accounts]),
        Layer(sections(&file)),
        Layer(variables),
    ];
    let mut reader = Reader::new(match file.kind {
        ValueKind::Table(_) => {
            let origin = file.origin().map(str::to_owned);
            Value::new(origin.as_ref(), stack(layers).kind)
        }
        // A file that is not a map cannot be layered; the reader reports it.
        _ => file,
    });
    reader.extend(mistakes);
    reader
}

/// Puts layers on top of each other, lowest first.
pub(super) fn stack<const N: usize>(layers: [Layer; N]) -> Value {
    let builder = layers
        .into_iter()
        .fold(Config::builder(), |builder, layer| {
            builder.add_source(layer)
        });
    let layers = builder.build().map(|layers| layers.cache);
    let mut layers = layers.unwrap_or_default();
    document(&mut layers)
        .map(std::mem::take)
        .unwrap_or_default()
}

/// The default account, with the credentials from the environment. It applies if the configuration
/// lists no accounts.
fn accounts(environment: &Environment) -> Value {
    let mut account = Map::new();
    account.insert("name".to_owned(), plain("default", Place::Environment));
    for key in CREDENTIALS {
        let name = credential_variable(key);
        if let Some(text) = environment.get(&name) {
            let value = scalar(text, true, Place::variable(&name));
            account.insert(key.to_owned(), value);
        }
    }
    plain(vec![plain(account, Place::Environment)], Place::Environment)
}

/// The top-level keys of the file.
fn sections(file: &Value) -> Vec<Entry> {
    let sections = file.clone().into_table().unwrap_or_default().into_iter();
    sections.map(|(key, value)| (vec![key], value)).collect()
}

/// The path of a key, and its value.
pub(super) type Entry = (Vec<String>, Value);

/// What one source of the configuration sets.
#[derive(Debug, Clone)]
pub(super) struct Layer(pub(super) Vec<Entry>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ::config::ConfigError> {
        let mut layers = Value::new(None, Map::<String, Value>::new());
        self.collect_to(&mut layers)?;
        layers.into_table()
    }

    fn collect_to(&self, layers: &mut Value) -> Result<(), ::config::ConfigError> {
        if let Some(document) = document(layers) {
            for (path, value) in &self.0 {
                if path != &["accounts"] || !is_empty(value) {
                    set(document, path, value.clone());
                }
            }
        }
        Ok(())
    }
}

/// The layers merged so far. They are the single item of a list under one key, because `config`
/// leaves lists whole: it takes maps apart, drops their origin, and reads dots in keys as paths.
fn document(layers: &mut Value) -> Option<&mut Value> {
    const KEY: &str = "document";
    let ValueKind::Table(map) = &mut layers.kind else {
        return None;
    };
    let new = || Value::new(None, vec![Value::default()]);
    match &mut map.entry(KEY.to_owned()).or_insert_with(new).kind {
        ValueKind::Array(items) => items.first_mut(),
        _ => None,
    }
}

/// Sets the value at a path of keys and creates maps on the way. A value on the way that is not a
/// map is left as it is, so that the reader reports it.
fn set(layers: &mut Value, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        *layers = value;
        return;
    };
    if layers.kind == ValueKind::Nil {
        layers.kind = ValueKind::Table(Map::new());
    }
    if let ValueKind::Table(map) = &mut layers.kind {
        set(map.entry(key.clone()).or_default(), rest, value);
    }
}

/// Whether a list of accounts counts as left out.
fn is_empty(accounts: &Value) -> bool {
    match &accounts.kind {
        ValueKind::Array(items) => items.is_empty(),
        kind => *kind == ValueKind::Nil,
    }
}

/// The known variables, and the mistakes in the others. In alphabetical order a map comes before
/// the keys in it.
fn read_variables(environment: &Environment) -> (Vec<Entry>, Vec<ConfigError>) {
    let mut variables = Vec::new();
    let mut mistakes = Vec::new();
    for (name, text) in environment.with_prefix(PREFIX) {
        let place = Place::variable(&format!("{PREFIX}{name}"));
        let path = name.to_ascii_lowercase().replace("__", ".");
        let known = |keys: &str| keys.split(' ').any(|known| known == path);
        let value = if known(SCALARS) {
            Ok(plain(text, place))
        } else if known(COMPOSITES) {
            Format::Yaml.parse(text, &place)
        } else {
            let known: Vec<_> = SCALARS.split(' ').chain(COMPOSITES.split(' ')).collect();
            Err(ConfigError::whole(place, unknown_key(&path, &known)))
        };
        match value {
            Ok(value) => variables.push((path.split('.').map(str::to_owned).collect(), value)),
            Err(mut mistake) => {
                mistake.at.path = path;
                mistakes.push(mistake);
            }
        }
    }
    (variables, mistakes)
}
