//! A Prometheus exporter for Cloudflare's origin cloud region mappings.
//!
//! The modules form layers. Each imports only modules of the layers before it
//! (`docs/architecture.md` has the details):
//!
//! [`domain`], [`metric_families`], [`file_io`], [`config_tree`], [`build_info`] and [`backoff`] →
//! [`http_client`] → [`cloudflare`], [`origin_hosts`], [`vendor_ranges`] and [`findings`] →
//! [`snapshot`] → [`history`] → [`storage`] → [`poller`] → [`exposition`] → [`web`] →
//! [`config`] → [`app`] → `main`. [`simulator`] imports only [`domain`].

pub mod app;
pub mod backoff;
pub mod build_info;
pub mod cloudflare;
pub mod config;
pub mod config_tree;
pub mod domain;
pub mod exposition;
pub mod file_io;
pub mod findings;
pub mod history;
pub mod http_client;
pub mod metric_families;
pub mod origin_hosts;
mod panics;
pub mod poller;
pub mod simulator;
pub mod snapshot;
pub mod storage;
pub mod truncate;
pub mod vendor_ranges;
pub mod web;
mod words;
