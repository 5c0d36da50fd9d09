//! Load balancers and their pools.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A load balancer of a zone. Pools are referred to by their identifiers.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    /// Its identifier.
    pub id: String,
    /// The host name that it serves.
    pub name: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether Cloudflare proxies it.
    pub proxied: bool,
    /// The pools that are tried first.
    pub default_pools: Vec<String>,
    /// The pool that is used when no other works.
    pub fallback_pool: String,
    /// Pools by region.
    pub region_pools: BTreeMap<String, Vec<String>>,
    /// Pools by country.
    pub country_pools: BTreeMap<String, Vec<String>>,
    /// Pools by data centre.
    pub pop_pools: BTreeMap<String, Vec<String>>,
    /// Rules as the API writes them, with `overrides` that may name pools.
    pub rules: Vec<Value>,
    /// Pool sets as the API writes them, with `overrides` that may name pools.
    pub pool_sets: Vec<Value>,
}

impl Default for LoadBalancer {
    /// An enabled, proxied load balancer without pools.
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            enabled: true,
            proxied: true,
            default_pools: Vec::new(),
            fallback_pool: String::new(),
            region_pools: BTreeMap::new(),
            country_pools: BTreeMap::new(),
            pop_pools: BTreeMap::new(),
            rules: Vec::new(),
            pool_sets: Vec::new(),
        }
    }
}

/// A load balancer pool of an account.
#[derive(Clone, Deserialize)]
pub struct Pool {
    /// Its identifier.
    #[serde(default)]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is enabled.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Its origins.
    pub origins: Vec<PoolOrigin>,
}

/// An origin of a pool.
#[derive(Clone, Deserialize)]
pub struct PoolOrigin {
    /// Its name.
    pub name: String,
    /// An address or a host name.
    pub address: String,
    /// Whether it is enabled.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The virtual network through which it is reached.
    #[serde(default)]
    pub virtual_network_id: Option<String>,
}

fn yes() -> bool {
    true
}
