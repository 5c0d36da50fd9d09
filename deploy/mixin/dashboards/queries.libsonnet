// Queries that several panels share.
{
  // Matchers: of the job, of its accounts, of its zones.
  job:: 'job=~"$job",cluster=~"$cluster"',
  account:: self.job + ',account=~"$account"',
  zones:: self.account + ',zone=~"$zone"',

  // Zones with these variables, from the recorded series, or from the exporter's own where rules are
  // not loaded.
  info:: '(job_zone:cloudflare_origin_region_zone_info:group{%(zones)s} or on (job, cluster, zone_id) max by (job, cluster, zone, zone_id, account) (cloudflare_origin_region_zone_info{%(zones)s}))' % { zones: $.zones },

  // A recorded series by zone; where rules are not loaded, the exporter's own.
  zone(record, raw, by='zone_id'):: |||
    (
      %(record)s{%(zones)s}
      or on (job, cluster, %(by)s)
      (
        max by (job, cluster, %(by)s, zone) (%(raw)s{%(job)s,zone=~"$zone"})
        * on (job, cluster, zone_id) group_left (account)
        topk by (job, cluster, zone_id) (1, max by (job, cluster, zone_id, account) (cloudflare_origin_region_zone_info{%(zones)s}))
      )
    )
  ||| % { record: record, raw: raw, by: by, zones: $.zones, job: $.job },

  missing:: self.zone('job_zone:cloudflare_origin_region_missing_mappings:max', 'cloudflare_origin_region_missing_mappings'),
  stale:: self.zone('job_zone:cloudflare_origin_region_stale_mappings:max', 'cloudflare_origin_region_stale_mappings'),
  unused:: self.zone('job_zone:cloudflare_origin_region_unused_mappings:max', 'cloudflare_origin_region_unused_mappings'),
  mappings:: self.zone('job_zone:cloudflare_origin_region_zone_mappings:max', 'cloudflare_origin_region_zone_mappings'),
  up:: self.zone('job_zone:cloudflare_origin_region_zone_up:max', 'cloudflare_origin_region_zone_up'),
  lastSuccess:: self.zone('job_zone:cloudflare_origin_region_zone_last_success_timestamp_seconds:max', 'cloudflare_origin_region_zone_last_success_timestamp_seconds'),
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
  wrong:: |||
    (
      job_zone:cloudflare_origin_region_wrong_origins:count{%(zones)s}
      or on (job, cluster, zone_id)
      (
        sum by (job, cluster, zone_id, zone) (max by (job, cluster, zone_id, zone, check) (cloudflare_origin_region_wrong_mappings{%(job)s,zone=~"$zone"}))
        * on (job, cluster, zone_id) group_left (account)
        topk by (job, cluster, zone_id) (1, max by (job, cluster, zone_id, account) (cloudflare_origin_region_zone_info{%(zones)s}))
      )
    )
  ||| % { zones: $.zones, job: $.job },
  idle:: |||
    (
      job_zone:cloudflare_origin_region_idle_mappings:max{%(zones)s}
    )
  ||| % { zones: $.zones },

  // How much a counter grew in an interval of the graph: whole numbers, whose sum is that of the range.
  growth(series, by):: 'clamp_min(max by (%(by)s) (%(series)s) - max by (%(by)s) (%(series)s offset $__interval), 0)' % { series: series, by: by },

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
