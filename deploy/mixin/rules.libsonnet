// Recorded series: what the alerts and the dashboards read.
//
// In the expressions, `{$}` is for the configured selector, `{$,` for the same before further
// matchers, and the label `cluster` for the configured one.
//
// Every series of the exporter is aggregated before it is joined with another: a label more on one
// target, a second cluster with the same instances, or a replica would otherwise match many to
// many, and the rule would fail for every job. Replicas count once: `max by` drops `instance`.
//
// A finding ends when a good poll no longer shows it, and not because nobody can look: while its
// zone is not read well, or its account cannot be listed, or the exporter is gone, the recorded
// series keeps its last value (a rule reads what it recorded at the previous evaluation).
local info = 'job_zone:cloudflare_origin_region_zone_info:group';
local unread = 'job_zone:cloudflare_origin_region_zone_unread:group';
local unlisted = 'job_account:cloudflare_origin_region_exporter_account_unlisted:group';
local missingShards = 'job:cloudflare_origin_region_exporter_missing_shards:sum';

local indent(text) = std.join('', ['  ' + line + '\n' for line in std.split(std.rstripChars(text, '\n'), '\n')]);

// The values by zone_id with the names of the zone and its account, or the last ones while the zone
// is not read well.
local held(record, expr) = {
  record: record,
  expr: |||
    (
    %(expr)s)
    * on (job, cluster, zone_id) group_left (zone, account) %(info)s
    or on (job, cluster, zone_id)
    (%(record)s and on (job, cluster, zone_id) %(unread)s)
  ||| % { record: record, expr: indent(expr), info: info, unread: unread },
};

// What an instance found whose last poll was good counts; where there is none, the findings that are
// still served from the last good poll do.
local fromGoodPolls(family) = |||
  max by (job, cluster, zone_id) (
    %(family)s
    and on (job, cluster, instance, zone_id) cloudflare_origin_region_zone_up{$} == 1
  )
  or
  max by (job, cluster, zone_id) (%(family)s)
||| % { family: family };

{
  info:: info,
  unread:: unread,
  unlisted:: unlisted,
  missingShards:: missingShards,

  rules:: [
    {
      record: 'job_vendor_region:cloudflare_origin_region_mappings:sum',
      expr: |||
        sum by (job, cluster, vendor, region) (
          max by (job, cluster, zone_id, vendor, region) (cloudflare_origin_region_mappings{$})
        )
      |||,
    },

    // Shards that are not there, where any is.
    {
      record: missingShards,
      expr: |||
        max by (job, cluster) (cloudflare_origin_region_exporter_total_shards{$})
        - count by (job, cluster) (
          group by (job, cluster, shard_ordinal) (cloudflare_origin_region_exporter_shard_ordinal{$})
        )
        > 0
      |||,
    },
    {
      record: 'job:cloudflare_origin_region_exporter_instances:count',
      expr: |||
        count by (job, cluster) (
          group by (job, cluster, instance) (cloudflare_origin_region_exporter_build_info{$})
        )
      |||,
    },

    // Accounts that no exporter could list just now, and for a day those of an exporter that is gone.
    {
      record: unlisted,
      expr: |||
        (
          group by (job, cluster, account) (cloudflare_origin_region_exporter_zones{$})
          unless on (job, cluster, account)
          max by (job, cluster, account) (cloudflare_origin_region_exporter_discovery_up{$}) == 1
        )
        or
        (
          group by (job, cluster, account) (
            last_over_time(cloudflare_origin_region_exporter_zones{$,state="polled"}[1d])
          )
          unless on (job, cluster)
          group by (job, cluster) (cloudflare_origin_region_exporter_build_info{$})
        )
      |||,
    },
    // 1 where an account was listed within five minutes: a moment without the exporter changes it as
    // little as one bad listing does.
    {
      record: 'job_account:cloudflare_origin_region_exporter_discovery_up:max5m',
      expr: |||
        max by (job, cluster, account) (
          max_over_time(cloudflare_origin_region_exporter_discovery_up{$}[5m])
        )
      |||,
    },
    // The zones that an account's token lists, whichever shard polls them and whether or not a
    // filter leaves them out.
    {
      record: 'job_account:cloudflare_origin_region_exporter_zones:sum',
      expr: |||
        max by (job, cluster, account) (
          sum by (job, cluster, instance, account) (
            max by (job, cluster, instance, account, state) (cloudflare_origin_region_exporter_zones{$})
          )
        )
      |||,
    },

    // The zones with their names and accounts, one series each: the one that was there before, and
    // while nobody can list the account or a shard is missing, those that were there before.
    {
      record: info,
      expr: |||
        (
          %(info)s
          and on (job, cluster, zone, zone_id, account) cloudflare_origin_region_zone_info{$}
        )
        or on (job, cluster, zone_id)
        topk by (job, cluster, zone_id) (1,
          group by (job, cluster, zone, zone_id, account) (cloudflare_origin_region_zone_info{$})
        )
        or on (job, cluster, zone_id)
        (%(info)s and on (job, cluster, account) %(unlisted)s)
        or on (job, cluster, zone_id)
        (%(info)s and on (job, cluster) %(missingShards)s)
      ||| % { info: info, unlisted: unlisted, missingShards: missingShards },
    },
    // The zones that nobody's last poll has read well.
    {
      record: unread,
      expr: |||
        %s
        unless on (job, cluster, zone_id)
        max by (job, cluster, zone_id) (cloudflare_origin_region_zone_up{$}) == 1
      ||| % info,
    },
    held(
      'job_zone:cloudflare_origin_region_zone_up:max',
      'max by (job, cluster, zone_id) (cloudflare_origin_region_zone_up{$})'
    ),
    held(
      'job_zone:cloudflare_origin_region_zone_last_success_timestamp_seconds:max',
      'max by (job, cluster, zone_id) (cloudflare_origin_region_zone_last_success_timestamp_seconds{$})'
    ),
    held(
      'job_zone:cloudflare_origin_region_zone_mappings:max',
      'max by (job, cluster, zone_id) (cloudflare_origin_region_zone_mappings{$})'
    ),

    // Findings.
    held(
      'job_zone:cloudflare_origin_region_missing_mappings:max',
      fromGoodPolls('cloudflare_origin_region_missing_mappings{$}')
    ),
    // From here on there is a series only where something was found: most zones have no finding, and
    // each series costs at each evaluation.
    held(
      'job_zone_check:cloudflare_origin_region_wrong_mappings:max',
      |||
        max by (job, cluster, zone_id, check) (
          cloudflare_origin_region_wrong_mappings{$} > 0
          and on (job, cluster, instance, zone_id) cloudflare_origin_region_zone_up{$} == 1
        )
        or
        max by (job, cluster, zone_id, check) (
          cloudflare_origin_region_wrong_mappings{$} > 0
          unless on (job, cluster, zone_id) cloudflare_origin_region_zone_up{$} == 1
        )
      |||
    ),
    // An origin that two checks call wrong is one origin.
    held(
      'job_zone:cloudflare_origin_region_wrong_origins:count',
      |||
        count by (job, cluster, zone_id) (
          group by (job, cluster, zone_id, origin_ip) (cloudflare_origin_region_wrong_mapping{$})
        )
      |||
    ),
    {
      record: 'job:cloudflare_origin_region_wrong_origins:count',
      expr: |||
        sum by (job, cluster) (job_zone:cloudflare_origin_region_wrong_origins:count)
        or
        0 * group by (job, cluster) (cloudflare_origin_region_exporter_build_info{$})
      |||,
    },
    held(
      'job_zone:cloudflare_origin_region_stale_mappings:max',
      'max by (job, cluster, zone_id) (cloudflare_origin_region_stale_mappings{$} > 0)'
    ),
    held(
      'job_zone:cloudflare_origin_region_unused_mappings:max',
      'max by (job, cluster, zone_id) (cloudflare_origin_region_unused_mappings{$} > 0)'
    ),
    held(
      'job_zone_state:cloudflare_origin_region_origin_hosts:max',
      'max by (job, cluster, zone_id, state) (cloudflare_origin_region_origin_hosts{$,state!="resolved"} > 0)'
    ),
    // Mappings without effect, because tiered cache is off.
    held(
      'job_zone:cloudflare_origin_region_idle_mappings:max',
      |||
        max by (job, cluster, zone_id) (
          cloudflare_origin_region_zone_mappings{$} > 0
          and on (job, cluster, zone_id) (
            cloudflare_origin_region_tiered_cache_enabled{$} == 0
            or
            cloudflare_origin_region_smart_tiered_cache_enabled{$} == 0
          )
        )
      |||
    ),

    // How many zones have a finding whose alert lists origins.
    {
      record: 'all:cloudflare_origin_region_missing_zones:count',
      expr: 'count(job_zone:cloudflare_origin_region_missing_mappings:max > 0)',
    },
    {
      record: 'all:cloudflare_origin_region_wrong_zones:count',
      expr: 'count(job_zone_check:cloudflare_origin_region_wrong_mappings:max > 0)',
    },
    {
      record: 'all:cloudflare_origin_region_failing_zones:count',
      expr: 'count(job_zone:cloudflare_origin_region_zone_up:max == 0)',
    },
    {
      record: 'all:cloudflare_origin_region_rotating_zones:count',
      expr: 'count(job_zone_state:cloudflare_origin_region_origin_hosts:max{state=~"rotating|failing|no_address"} > 0)',
    },
  ],
}
