//! A Prometheus exporter for Cloudflare's origin cloud region mappings.
//!
//! The modules form layers; each may use what stands above it and never what stands below
//! (`docs/architecture.md` draws the picture):
//!
//! [`domain`], [`metric_families`], [`file_io`], [`config_tree`] and [`build_info`] →
//! [`http_client`] → [`cloudflare`], [`origin_hosts`], [`vendor_ranges`] and [`findings`] →
//! [`snapshot`] → [`history`] and [`storage`] → [`poller`] → [`exposition`] → [`web`] →
//! [`config`] → [`app`] → `main`. [`simulator`] stands apart and knows [`domain`] alone.

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
pub mod poller;
pub mod simulator;
pub mod snapshot;
pub mod storage;
pub mod vendor_ranges;
pub mod web;
