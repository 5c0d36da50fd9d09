// Queries that several panels share.
{
  // Matchers: of the job, of its accounts, of its zones.
  job:: 'job=~"$job",cluster=~"$cluster"',
  account:: self.job + ',account=~"$account"',
  zones:: self.account + ',zone=~"$zone"',

  // Zones with these variables, from the recorded series, or from the exporter's own where rules are
  // not loaded.
  info:: '(job_zone:cloudflare_origin_region_zone_info:group{%(zones)s} or on (job, cluster, zone_id) max by (job, cluster, zone, zone_id, account) (cloudflare_origin_region_zone_info{%(zones)s}))' % { zones: $.zones },

  // The exporter's own series by zone with the name of the account.
  raw(expr):: |||
    %(expr)s
    * on (job, cluster, zone_id) group_left (account)
    topk by (job, cluster, zone_id) (1, max by (job, cluster, zone_id, account) (cloudflare_origin_region_zone_info{%(zones)s}))
  ||| % { expr: expr, zones: $.zones },

  // A recorded series by zone; where rules are not loaded, the exporter's own.
  zone(record, raw):: |||
    (
      %(record)s
      or on (job, cluster, zone_id)
      (
        %(raw)s
      )
    )
  ||| % { record: record, raw: std.stripChars($.raw(raw), ' \n') },
  family(name):: 'max by (job, cluster, zone_id, zone) (cloudflare_origin_region_%s{%s,zone=~"$zone"})' % [name, $.job],
  recordedFinding(finding):: 'job_zone_finding:cloudflare_origin_region_findings:max{%s,finding=~"%s"}' % [$.zones, finding],
  // A finding has a recorded series only where there is one; the exporter's own tells the zones
  // without from those that were not judged.
  finding(finding, name):: $.zone($.recordedFinding(finding), $.family(name)),

  missing:: self.finding('missing', 'missing_mappings'),
  stale:: self.finding('stale', 'stale_mappings'),
  unused:: self.finding('unused', 'unused_mappings'),
  mappings:: self.zone('job_zone:cloudflare_origin_region_zone_mappings:max{%s}' % self.zones, self.family('zone_mappings')),
  lastSuccess:: self.zone('job_zone:cloudflare_origin_region_zone_last_success_timestamp_seconds:max{%s}' % self.zones, self.family('zone_last_success_timestamp_seconds')),
  // Zones whose last poll failed, with the value 1.
  failing:: self.zone(self.recordedFinding('failing'), '(1 + (%s == 0))' % self.family('zone_up')),
  // The last poll of each zone as it is known now, and not as it was before the exporter went.
  lastPoll:: |||
    (
      max by (job, cluster, zone_id) (cloudflare_origin_region_zone_up{%(job)s,zone=~"$zone"})
      * on (job, cluster, zone_id) group_left (zone, account) %(info)s
      or on (job, cluster, zone_id)
      (0 * %(info)s - 5)
    )
  ||| % { job: $.job, info: $.info },
  // Where rules are not loaded, an origin that two checks call wrong counts twice.
  wrong:: self.zone(self.recordedFinding('wrong_origins'), 'sum by (job, cluster, zone_id, zone) (max by (job, cluster, zone_id, zone, check) (cloudflare_origin_region_wrong_mappings{%s,zone=~"$zone"}))' % self.job),
  local noEffect = |||
    (
      %s > 0
      and on (job, cluster, zone_id)
      (cloudflare_origin_region_tiered_cache_enabled{%s} == 0 or cloudflare_origin_region_smart_tiered_cache_enabled{%s} == 0)
    )
  ||| % [self.family('zone_mappings'), self.job, self.job],
  idle:: self.zone(self.recordedFinding('idle'), std.stripChars(noEffect, ' \n')),

  // Zones with a finding or a failed poll.
  trouble:: |||
    (
      %(recorded)s
      or on (job, cluster, zone_id)
      (
        cloudflare_origin_region_missing_mappings{%(own)s} > 0
        or cloudflare_origin_region_wrong_mappings{%(own)s} > 0
        or cloudflare_origin_region_unused_mappings{%(own)s} > 0
        or cloudflare_origin_region_stale_mappings{%(own)s} > 0
        or cloudflare_origin_region_zone_up{%(own)s} == 0
        or %(noEffect)s
      )
    )
  ||| % {
    recorded: $.recordedFinding('missing|wrong|unused|stale|idle|failing'),
    own: $.job + ',zone=~"$zone"',
    noEffect: std.stripChars(noEffect, ' \n'),
  },

  // Of the exporter's own series by zone, those of the chosen accounts. Where all are chosen, the
  // right side is empty and costs nothing.
  chosen(expr):: '%s unless on (job, cluster, zone_id) cloudflare_origin_region_zone_info{%s,account!~"$account"}' % [expr, $.job],

  // The sum over all zones, for graphs: each series costs at each point. Only what is above 0 is
  // aggregated by zone.
  total(finding, name, by=''):: |||
    sum(%(recorded)s)
    or
    sum(%(found)s)
    or
    0 * max(%(own)s)
  ||| % {
    recorded: $.recordedFinding(finding),
    own: 'cloudflare_origin_region_%s{%s,zone=~"$zone"}' % [name, $.job],
    found: $.chosen('max by (job, cluster, zone_id%s) (%s > 0)' % [by, self.own]),
  },

  // How much a counter grew in an interval of the graph: whole numbers, whose sum is that of the range.
  growth(series, by, above='')::
    'clamp_min(max by (%(by)s) (%(series)s%(above)s) - max by (%(by)s) (%(series)s offset $__interval), 0)' % { series: series, by: by, above: above },

  // Where no exporter is scraped.
  gone:: '(vector(-3) unless on () group(cloudflare_origin_region_exporter_build_info{%s}))' % self.job,
  // Where a zone was not read well at its last poll, or never.
  partly:: '(0 * group(%s unless on (job, cluster, zone_id) max by (job, cluster, zone_id) (cloudflare_origin_region_zone_up{%s}) == 1) - 1)' % [self.info, self.job],

  // A number of findings; 0 only where every zone was read well and judged.
  count(finding):: |||
    sum(%(finding)s) > 0
    or %(gone)s
    or %(partly)s
    or sum(%(finding)s)
    or vector(-2)
  ||| % { finding: finding, gone: $.gone, partly: $.partly },

  alerts(extra=''):: 'alertname=~"OriginRegion.+",job=~"$job|",cluster=~"$cluster|"' + extra,
}
