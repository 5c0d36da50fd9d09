//! The families of the snapshot that are not about a single zone.

use super::text::{Samples, push_family, unix_seconds};
use super::{BuildInfo, Format};
use crate::domain::MAPPINGS_PER_ZONE_LIMIT;
use crate::metric_families::{self, Family};
use crate::snapshot::Directory;

pub(super) fn push_families(
    out: &mut String,
    format: Format,
    directory: &Directory,
    build: &BuildInfo,
) {
    let mut push = |family: &'static Family, samples: &dyn Fn(&mut Samples<'_>)| {
        push_family(out, format, family, |out| {
            samples(&mut Samples::new(out, family, ""));
        });
    };
    push(&metric_families::ZONE_MAPPINGS_LIMIT, &|out| {
        out.add(&[], MAPPINGS_PER_ZONE_LIMIT);
    });
    push(&metric_families::BUILD_INFO, &|out| {
        out.add(&[build.version, build.revision, build.rustc], 1);
    });
    push(&metric_families::EXPORTER_ZONES, &|out| {
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
    push(&metric_families::UNMATCHED_ZONES, &|out| {
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
    push(&metric_families::DISCOVERY_UP, &|out| {
        for account in &directory.accounts {
            if let Some(up) = account.up {
                out.add(&[account.name.as_str()], u8::from(up));
            }
        }
    });
    push(&metric_families::DISCOVERY_LAST_SUCCESS, &|out| {
        for account in &directory.accounts {
            if let Some(time) = account.last_success {
                out.add(&[account.name.as_str()], unix_seconds(time));
            }
        }
    });
}
