//! What fixes a zone's findings, as of a given time.

mod curl;

pub use curl::{curl_calls, curl_script};

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Finding, ZoneState};
use crate::domain::Mapping;
use crate::findings::{self, Undecided, ZonePlan};

/// Which mappings a plan deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// None.
    Nothing,
    /// Mappings that are known to be unused.
    Unused,
    /// Mappings that no source names now and that are older than this. Without a memory of what the
    /// sources named before, the age of the mapping takes its place.
    Unnamed(Option<Duration>),
}

/// The plan of one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanRow {
    /// The zone's name.
    pub zone: String,
    /// Its identifier.
    pub zone_id: String,
    /// What to do.
    #[serde(flatten)]
    pub plan: ZonePlan,
}

impl PlanRow {
    /// The plan of a zone; `None` if nothing is known of its mappings.
    pub fn of(state: &ZoneState, prune: Prune, now: Timestamp) -> Option<Self> {
        let data = state.data.as_ref()?;
        let unused: Vec<&Mapping> = match prune {
            Prune::Nothing => Vec::new(),
            Prune::Unused => data.findings.unused.iter().flatten().collect(),
            Prune::Unnamed(after) => unnamed(state, after, now),
        };
        let mut plan = findings::plan(&data.findings, unused.iter().copied());
        for finding in Finding::all(state, now) {
            let is_unused = |mapping: &Mapping| {
                unused
                    .iter()
                    .any(|unused| unused.origin_ip == mapping.origin_ip)
            };
            let because = match finding {
                Finding::Stale(mapping) if is_unused(mapping) => continue,
                Finding::Stale(_) => {
                    "stale: check that the origin is still there, then write the mapping again"
                        .to_owned()
                }
                Finding::Rotating(rotating) => format!(
                    "rotating: {} has {} addresses, more than mappings can follow; give it a \
                     static entry point",
                    rotating.host, rotating.addresses
                ),
                Finding::Idle => {
                    "idle: turn on Tiered Cache with the Smart topology, without which mappings \
                     have no effect"
                        .to_owned()
                }
                // These are in the plan already, or were not requested.
                Finding::Missing(_) | Finding::Wrong(_) | Finding::Unused(_) => continue,
            };
            plan.undecided.push(Undecided {
                origin_ip: finding.origin_ip(),
                because,
            });
        }
        // A stale mapping that is written again is no longer stale.
        let put: Vec<_> = plan.put.iter().map(|put| Some(put.origin_ip)).collect();
        plan.undecided.retain(|undecided| {
            undecided.origin_ip.is_none() || !put.contains(&undecided.origin_ip)
        });
        Some(Self {
            zone: state.zone.name.to_string(),
            zone_id: state.zone.id.to_string(),
            plan,
        })
    }

    /// The zone's name and what the plan leaves undecided, as comment lines of a script.
    pub fn comment(&self) -> String {
        let mut text = format!("\n# {}\n", one_line(&self.zone));
        for undecided in &self.plan.undecided {
            let origin = undecided.origin_ip.map(|ip| format!("{ip}: "));
            let origin = origin.unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "# undecided: {origin}{}",
                one_line(&undecided.because)
            );
        }
        text
    }
}

/// Replaces control characters, so that a text from outside fits on one line of a comment.
fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(clean).collect()
}

/// The mappings that no source names and that are older than the configured time.
fn unnamed(state: &ZoneState, after: Option<Duration>, now: Timestamp) -> Vec<&Mapping> {
    let (Some(age), Some(data)) = (after, &state.data) else {
        return Vec::new();
    };
    let since = now.checked_sub(age).unwrap_or(Timestamp::MIN);
    let unnamed = data.findings.unnamed.iter().flatten();
    unnamed
        .filter_map(|ip| data.mappings.get(*ip))
        .filter(|mapping| mapping.modified_on.is_some_and(|modified| modified < since))
        .collect()
}
