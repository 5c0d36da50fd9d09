//! The families that are about no zone, as far as the snapshot knows them.

use super::BuildInfo;
use super::families::{self, Family};
use super::text::{Samples, UnixSeconds, push_family};
use crate::domain::MAPPINGS_PER_ZONE_LIMIT;
use crate::snapshot::Directory;

/// Appends the families.
pub(super) fn push_families(out: &mut String, directory: &Directory, build: &BuildInfo) {
    let mut push = |family: &'static Family, samples: &dyn Fn(&mut Samples<'_>)| {
        push_family(out, family, |out| {
            samples(&mut Samples::new(out, family, ""));
        });
    };
    push(&families::ZONE_MAPPINGS_LIMIT, &|out| {
        out.add(&[], MAPPINGS_PER_ZONE_LIMIT);
    });
    push(&families::BUILD_INFO, &|out| {
        out.add(&[build.version, build.revision, build.rustc], 1);
    });
    push(&families::EXPORTER_ZONES, &|out| {
        for account in &directory.accounts {
            let zones = &account.zones;
            for (state, count) in [
                ("polled", zones.polled),
                ("filtered", zones.filtered),
                ("other_shard", zones.other_shard),
                ("duplicate", zones.duplicate),
            ] {
                out.add(&[account.name.as_str(), state], count);
            }
        }
    });
    push(&families::UNMATCHED_ZONES, &|out| {
        let unmatched = &directory.unmatched;
        for (kind, names) in [
            ("ids", &unmatched.ids),
            ("include", &unmatched.include),
            ("expect", &unmatched.expect),
            ("zone_overrides", &unmatched.zone_overrides),
        ] {
            out.add(&[kind], names.len());
        }
    });
    push(&families::DISCOVERY_UP, &|out| {
        for account in &directory.accounts {
            if let Some(up) = account.up {
                out.add(&[account.name.as_str()], u8::from(up));
            }
        }
    });
    push(&families::DISCOVERY_LAST_SUCCESS, &|out| {
        for account in &directory.accounts {
            if let Some(time) = account.last_success {
                out.add(&[account.name.as_str()], UnixSeconds(time));
            }
        }
    });
}
