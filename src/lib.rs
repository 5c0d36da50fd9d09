//! A Prometheus exporter for Cloudflare's origin cloud region mappings.
//!
//! The modules form layers; each may use what stands above it and never what stands below
//! (`docs/architecture.md` draws the picture):
//!
//! [`domain`], [`outbound`], [`document`], [`reading`] and [`build_info`] → [`cloudflare`], [`vendor_ranges`], [`findings`] → [`snapshot`] → [`poller`] → [`exposition`] → [`web`] →
//! [`config`] → [`app`] → `main`. [`simulator`] stands apart and knows [`domain`] alone.

pub mod app;
pub mod build_info;
pub mod cloudflare;
pub mod config;
pub mod document;
pub mod domain;
pub mod exposition;
pub mod findings;
pub mod outbound;
pub mod poller;
pub mod reading;
pub mod simulator;
pub mod snapshot;
pub mod vendor_ranges;
pub mod web;
