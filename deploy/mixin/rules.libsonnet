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
//
// Each selection, and each operator that a series passes, costs about a microsecond, and writing a
// series several. So there is no series for a zone without a finding, and nothing is recorded on the
// way to a finding.
local info = 'job_zone:cloudflare_origin_region_zone_info:group';
local unread = 'job_zone:cloudflare_origin_region_zone_unread:group';
local superseded = 'job_instance_zone:cloudflare_origin_region_zone_superseded:group';
local unlisted = 'job_account:cloudflare_origin_region_exporter_account_unlisted:group';
local missingShards = 'job:cloudflare_origin_region_exporter_missing_shards:sum';
local mappings = 'job_zone:cloudflare_origin_region_zone_mappings:max';
local lastSuccess = 'job_zone:cloudflare_origin_region_zone_last_success_timestamp_seconds:max';
local findings = 'job_zone_finding:cloudflare_origin_region_findings:max';
local fewZones = 'job_zone_finding:cloudflare_origin_region_findings_in_few_zones:max';
local zonesWith = 'job_account_finding:cloudflare_origin_region_zones_with_finding:count';
local accountZones = 'job_account:cloudflare_origin_region_zone_info:count';
local listed = 'job_account:cloudflare_origin_region_exporter_discovery_up:max5m';

// The values by zone_id with the names of the zone and its account, or the last ones while the zone
// is not read well.
local held(record, expr) = {
  record: record,
  expr: |||
    %(expr)s
    * on (job, cluster, zone_id) group_left (zone, account) %(info)s
    or on (job, cluster, zone_id)
    (%(record)s and on (job, cluster, zone_id) %(unread)s)
  ||| % { record: record, expr: expr, info: info, unread: unread },
};

// A finding that good polls show, and that is held where there was none.
local found(name, expr) = {
  record: findings,
  expr: |||
    %(expr)s
    * on (job, cluster, zone_id) group_left (zone, account) %(info)s
    or on (job, cluster, zone_id)
    (%(findings)s{finding="%(name)s"} and on (job, cluster, zone_id) %(unread)s)
  ||| % { expr: std.rstripChars(expr, '\n'), name: name, info: info, findings: findings, unread: unread },
  labels: { finding: name },
};

// What an instance found whose last poll failed does not count where the last poll of another one
// succeeded.
local foundBy(name, expr, by='') = found(name, |||
  max by (job, cluster, zone_id%(by)s) (
    %(expr)s
    unless on (job, cluster, instance, zone_id) %(superseded)s
  )
||| % { expr: std.rstripChars(expr, '\n'), by: if by == '' then '' else ', ' + by, superseded: superseded });

// A finding that is not held: it needs what was read just now.
local current(name, expr) = { record: findings, expr: expr, labels: { finding: name } };

{
  info:: info,
  unlisted:: unlisted,
  missingShards:: missingShards,
  findings:: findings,
  zonesWith:: zonesWith,
  accountZones:: accountZones,
  fewZones:: fewZones,

  // Zones of accounts that were listed within five minutes: where an account cannot be listed, one
  // alert says so instead of one for each zone.
  listable:: 'and on (job, cluster, account) %s == 1' % listed,

  rules(config):: local t = config.alerts; [
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
      record: listed,
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
        (
          %(info)s
          and on (job, cluster, account)
          (
            %(unlisted)s
            or
            group by (job, cluster, account) (cloudflare_origin_region_exporter_zones{$})
            and on (job, cluster) %(missingShards)s
          )
        )
      ||| % { info: info, unlisted: unlisted, missingShards: missingShards },
    },
    // The zones that nobody's last poll has read well.
    {
      record: unread,
      expr: |||
        %s
        unless on (job, cluster, zone_id)
        cloudflare_origin_region_zone_up{$} == 1
      ||| % info,
    },
    // Instances whose last poll of a zone failed, while that of another one succeeded.
    {
      record: superseded,
      expr: |||
        group by (job, cluster, instance, zone_id) (cloudflare_origin_region_zone_up{$} == 0)
        unless on (job, cluster, zone_id) %s
      ||| % unread,
    },
    held(lastSuccess, 'max by (job, cluster, zone_id) (cloudflare_origin_region_zone_last_success_timestamp_seconds{$})'),
    held(mappings, 'max by (job, cluster, zone_id) (cloudflare_origin_region_zone_mappings{$})'),

    // Findings: a series only where something was found.
    foundBy('missing', 'cloudflare_origin_region_missing_mappings{$} > 0'),
    foundBy('wrong', 'cloudflare_origin_region_wrong_mappings{$} > 0', 'check'),
    foundBy('stale', 'cloudflare_origin_region_stale_mappings{$} > 0'),
    foundBy('unused', 'cloudflare_origin_region_unused_mappings{$} > 0'),
    foundBy('rotating', 'cloudflare_origin_region_origin_hosts{$,state="rotating"} > 0'),
    // Where most queries fail, one alert says so.
    foundBy('unresolvable', |||
      cloudflare_origin_region_origin_hosts{$,state=~"failing|no_address"} > 0
        unless on (job, cluster)
        (
          sum by (job, cluster) (rate(cloudflare_origin_region_exporter_dns_queries_total{$,result="failed"}[10m]))
          / sum by (job, cluster) (rate(cloudflare_origin_region_exporter_dns_queries_total{$}[10m]))
          > %g
        )
    ||| % t.DnsFailing.fraction, 'state'),
    // Mappings without effect, because tiered cache is off.
    foundBy('idle', |||
      cloudflare_origin_region_zone_mappings{$} > 0
        and on (job, cluster, zone_id) (
          cloudflare_origin_region_tiered_cache_enabled{$} == 0
          or
          cloudflare_origin_region_smart_tiered_cache_enabled{$} == 0
        )
    |||),
    // An origin that two checks call wrong is one origin.
    found('wrong_origins', |||
      count by (job, cluster, zone_id) (
        group by (job, cluster, zone_id, origin_ip) (
          cloudflare_origin_region_wrong_mapping{$}
          unless on (job, cluster, instance, zone_id) %s
        )
      )
    ||| % superseded),
    // No instance's last poll succeeded.
    found('failing', '(1 + (max by (job, cluster, zone_id) (cloudflare_origin_region_zone_up{$}) == 0))'),
    current('too_old', |||
      (time() - %(lastSuccess)s > %(seconds)d)
      unless on (job, cluster, zone_id)
      (
        (time() - %(lastSuccess)s > %(seconds)d)
        <= on (job, cluster, zone_id) group_left ()
        %(intervals)g * max by (job, cluster, zone_id) (
          cloudflare_origin_region_zone_poll_interval_seconds{$} > %(seconds)d / %(intervals)g
        )
      )
      %(listable)s
      unless on (job, cluster) %(missingShards)s
    ||| % {
      lastSuccess: lastSuccess,
      seconds: t.ZoneDataTooOld.seconds,
      intervals: t.ZoneDataTooOld.intervals,
      listable: $.listable,
      missingShards: missingShards,
    }),
    current('rejected', |||
      (
        max by (job, cluster, zone_id) (increase(cloudflare_origin_region_zone_rejected_rows_total{$}[1h])) > 0
      )
      * on (job, cluster, zone_id) group_left (zone, account) %s
    ||| % info),
    // The value is the number of origins that should have a mapping.
    current('unmapped', |||
      %(findings)s{finding="missing"}
      and on (job, cluster, zone_id)
      %(mappings)s == 0
      and on (job, cluster, zone_id)
      cloudflare_origin_region_smart_tiered_cache_enabled{$} == 1
    ||| % { findings: findings, mappings: mappings }),
    // The second arm sees what disappeared while the exporter was restarting or the zone could not
    // be read: the recorded series keeps its last value through both.
    current('removed', |||
      (
        max by (job, cluster, zone_id) (
          increase(cloudflare_origin_region_mapping_changes_total{$,change="removed"}[30m])
        ) > 0
      )
      * on (job, cluster, zone_id) group_left (zone, account) %(info)s
      or on (job, cluster, zone_id)
      (%(mappings)s offset 30m - %(mappings)s > 0)
    ||| % { info: info, mappings: mappings }),

    // How many zones of an account have a finding (by one check, in one state).
    {
      record: zonesWith,
      expr: |||
        max by (job, cluster, account, finding) (
          count by (job, cluster, account, finding, check, state) (%s{finding!="wrong_origins"})
        )
      ||| % findings,
    },
    // The findings with an alert for each zone, which is where they are few: each alert costs at each
    // evaluation, and nobody reads a thousand of them.
    {
      record: fewZones,
      expr: |||
        %s{finding!="wrong_origins"}
        unless on (job, cluster, account, finding)
        %s > %d
      ||| % [findings, zonesWith, config.manyZones],
    },
    {
      record: accountZones,
      expr: 'count by (job, cluster, account) (%s)' % info,
    },
    {
      record: 'job:cloudflare_origin_region_wrong_origins:count',
      expr: |||
        sum by (job, cluster) (%s{finding="wrong_origins"})
        or
        0 * group by (job, cluster) (cloudflare_origin_region_exporter_build_info{$})
      ||| % findings,
    },
  ],
}
