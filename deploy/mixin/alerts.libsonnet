// The alerts. `{$}`, `{$,` and the label `cluster` are explained in rules.libsonnet.
//
// In a description, a number of something comes from the alert's own value wherever it can: a
// `query` in a template is asked for each alert at each evaluation.
local recorded = import 'rules.libsonnet';

// Each expression with the name of its alert, and what people read of it.
function(config)
  local t = config.alerts;
  local listable = recorded.listable;

  // The zones with a finding, one by one as long as they are few.
  local zones(finding) = '%s{finding="%s"}' % [recorded.fewZones, finding];

  // The alert of a single zone with a finding.
  local single = {
    missing: 'MappingMissing',
    wrong: 'MappingWrong',
    idle: 'TieredCacheOff',
    rotating: 'HostRotating',
    unresolvable: 'HostUnresolvable',
    unmapped: 'ZoneUnmapped',
    rejected: 'RowsRejected',
    too_old: 'ZoneDataTooOld',
    stale: 'MappingStale',
    unused: 'MappingUnused',
    removed: 'MappingsRemoved',
  };
  local many = |||
    {{ $value }} zones of account {{ $labels.account }} have the finding "{{ $labels.finding }}".
    This alert stands for all of them; the dashboard and the exporter's page of findings list the
    zones. So many at once point to one cause: see what was changed last.
  |||;

  local seconds(duration) =
    local units = { s: 1, m: 60, h: 3600, d: 86400 };
    local last = std.length(duration) - 1;
    if duration == '' then 0 else std.parseInt(std.substr(duration, 0, last)) * units[std.substr(duration, last, 1)];

  // Many zones with the same finding. A moment with fewer changes nothing. Where they become few, the
  // alerts of the zones begin with their pending time, and this one goes on that long if it fires.
  local manyZones(name, found) =
    local pending(finding) = t[single[finding]].pending;
    local late = [finding for finding in found if seconds(pending(finding)) > seconds(t[name].keepFiring)];
    local at(window, findings) = 'max_over_time(%s{finding=~"%s"}[%s])' % [recorded.zonesWith, std.join('|', findings), window];
    local windows = std.set([pending(finding) for finding in late], seconds);
    |||
      %(zonesWith)s
      and
      (
        %(just)s > %(many)d%(fewer)s
      )
    ||| % {
      zonesWith: recorded.zonesWith,
      many: config.manyZones,
      just: at('10m', found),
      fewer: if std.length(late) == 0 then '' else std.join('\n  ', [
        '',
        'or',
        '(%s) > %d' % [std.join(' or ', [at(window, [finding for finding in late if pending(finding) == window]) for window in windows]), config.manyZones],
        'and on (job, cluster, account, finding)',
        'ALERTS{alertname="%s",alertstate="firing"}' % (config.alertNamePrefix + name),
      ]),
    };

  // The exporter, whatever its job is called.
  local exporters(window) = 'group by (job, cluster, instance) (last_over_time(cloudflare_origin_region_exporter_build_info{$}[%s]))' % window;

  [
    // Is there an exporter at all, and does it see everything?

    {
      name: 'ExporterAbsent',
      expr: 'absent(cloudflare_origin_region_exporter_build_info{$})',
      summary: 'No origin region exporter is being scraped.',
      description: |||
        Prometheus has had no metrics of cloudflare-origin-region-exporter for 10 minutes. No zone
        is watched. Start the exporter, or correct its scrape configuration.
      |||,
    },
    {
      // absent() is silent as long as one exporter is left, of whatever job or cluster.
      name: 'ExporterVanished',
      expr: |||
        group by (job, cluster) (last_over_time(cloudflare_origin_region_exporter_build_info{$}[1d]))
        unless on (job, cluster)
        group by (job, cluster) (cloudflare_origin_region_exporter_build_info{$})
      |||,
      summary: 'All exporters of a job have disappeared.',
      description: |||
        Prometheus scraped exporters of job {{ $labels.job }}{{ with $labels.cluster }} in cluster
        {{ . }}{{ end }} within the last day, and has had none for 10 minutes. Their zones are not
        watched, and what is shown of them is the last that was known. Start them, or see whether
        service discovery still finds them.
      |||,
    },
    {
      // The second arm is for a target that was never up; the first knows the exporter by its
      // metrics, whatever the job is called. The labels of the target stay.
      name: 'ExporterDown',
      expr: |||
        (up{$} == 0 and on (job, cluster, instance) %s)
        or
        up{%s} == 0
      ||| % [exporters('1d'), config.targetSelector],
      summary: 'An origin region exporter cannot be scraped.',
      description: |||
        Scrapes of {{ $labels.instance }} (job {{ $labels.job }}) have failed for 5 minutes. See the
        target's error on the targets page of Prometheus, then the exporter's log.
      |||,
    },
    {
      // Two scrapes that fail in a row reset the pending time of every alert that has one.
      name: 'ExporterFlapping',
      expr: |||
        avg_over_time(up{$}[30m]) < %g
        and changes(up{$}[30m]) >= 4
        and on (job, cluster, instance) %s
      ||| % [t.ExporterFlapping.availability, exporters('1h')],
      summary: 'An origin region exporter keeps going up and down.',
      description: |||
        Only {{ $value | humanizePercentage }} of the scrapes of {{ $labels.instance }} (job
        {{ $labels.job }}) succeeded within the last 30 minutes, with gaps in between. Other alerts
        may come late. See whether it restarts, or whether scrapes time out.
      |||,
    },
    {
      name: 'ExporterRestarting',
      expr: |||
        max by (job, cluster, instance) (changes(process_start_time_seconds{$}[1h])) > %g
        and on (job, cluster, instance) %s
      ||| % [t.ExporterRestarting.startsAnHour, exporters('1h')],
      summary: 'An origin region exporter keeps restarting.',
      description: |||
        {{ $labels.instance }} (job {{ $labels.job }}) was started {{ $value }} times within the
        last hour. See its last log lines before each start, and whether it runs out of memory.
      |||,
    },
    {
      name: 'ReplicaMissing',
      expr: |||
        job:cloudflare_origin_region_exporter_instances:count
        < quantile_over_time(0.5, job:cloudflare_origin_region_exporter_instances:count[6h])
        unless on (job, cluster) %s
      ||| % recorded.missingShards,
      summary: 'Fewer exporters are scraped than usual.',
      description: |||
        {{ $value }} exporters of job {{ $labels.job }} are scraped, fewer than for most of the last
        6 hours. The others still watch the same zones. If somebody scaled the exporter down, this
        ends by itself.
      |||,
    },
    {
      name: 'ShardMissing',
      expr: '%s > 0' % recorded.missingShards,
      summary: 'A shard of the origin region exporter is missing.',
      description: |||
        {{ $value }} of the shards of job {{ $labels.job }} are not being scraped, and their zones
        are not watched. Start the missing shards, or correct --total-shards.
      |||,
    },
    {
      name: 'LabelsNotHonored',
      expr: |||
        group by (job, cluster, instance) (
          cloudflare_origin_region_zone_info{$,exported_zone!=""}
          or cloudflare_origin_region_zone_info{$,exported_account!=""}
          or cloudflare_origin_region_mappings{$,exported_region!=""}
          or cloudflare_origin_region_missing_mapping{$,exported_host!=""}
        )
      |||,
      summary: "Labels of the target hide the exporter's own.",
      description: |||
        The scrape configuration of {{ $labels.instance }} (job {{ $labels.job }}) gives the target
        a label that the exporter uses as well, and does not set honor_labels. Alerts and
        dashboards show the target's label instead of the zone, account, region or host. Set
        honor_labels: true (honorLabels in a ServiceMonitor).
      |||,
    },

    // Can it read Cloudflare?

    {
      // An account that was never listed counts as well, once there is an exporter.
      name: 'DiscoveryFailing',
      expr: |||
        %s
        and on (job, cluster)
        group by (job, cluster) (last_over_time(cloudflare_origin_region_exporter_build_info{$}[5m]))
      ||| % recorded.unlisted,
      summary: 'The zones of a Cloudflare account cannot be listed.',
      description: |||
        Listing the zones of account {{ $labels.account }} has failed for 15 minutes. New zones are
        not found, and polls of the known ones may fail too; alerts about single zones of the
        account are held back. The exporter's log has the reason. Check the token's Zone Read
        permission and the connection to the API.
      |||,
    },
    {
      name: 'ZonesVanished',
      expr: |||
        1 - job_account:cloudflare_origin_region_exporter_zones:sum
        / (max_over_time(job_account:cloudflare_origin_region_exporter_zones:sum[1d]) > 0)
        > %g
        unless on (job, cluster, account) %s
      ||| % [t.ZonesVanished.fraction, recorded.unlisted],
      summary: "More than half of an account's zones have disappeared.",
      description: |||
        Account {{ $labels.account }} lists {{ $value | humanizePercentage }} fewer zones than it
        did within the last day. The alerts of a zone that is gone resolve. If nobody removed the
        zones, give the token access to them again.
      |||,
    },
    {
      name: 'ZonesFewer',
      expr: |||
        max_over_time(job_account:cloudflare_origin_region_exporter_zones:sum[6h])
        - job_account:cloudflare_origin_region_exporter_zones:sum
        > 0
        unless on (job, cluster, account) %s
      ||| % recorded.unlisted,
      summary: 'An account lists fewer zones than before.',
      description: |||
        Account {{ $labels.account }} lists {{ $value }} zones fewer than within the last 6 hours.
        They are not watched any more, and their alerts have resolved. If nobody removed them, the
        token has lost access to them.
      |||,
    },
    {
      name: 'TokenInvalid',
      expr: 'min by (job, cluster, account) (cloudflare_origin_region_exporter_token_valid{$}) == 0',
      summary: 'Cloudflare rejects the API token of an account.',
      description: |||
        The API token of account {{ $labels.account }} is disabled, expired or wrong. None of its
        zones can be read. Give the exporter a new token.
      |||,
    },
    {
      name: 'TokenExpiring',
      expr: |||
        min by (job, cluster, account) (cloudflare_origin_region_exporter_token_expiry_timestamp_seconds{$})
        - time() < %d * 86400
      ||| % t.TokenExpiring.days,
      summary: 'The API token of an account expires soon.',
      description: |||
        The API token of account {{ $labels.account }}
        {{ if lt $value 0.0 }}has expired{{ else }}expires in {{ $value | humanizeDuration }}{{ end }}.
        Create a new one and give it to the exporter.
      |||,
    },
    {
      name: 'AccountPollsFailing',
      expr: |||
        (
          (%(zonesWith)s{finding="failing"} >= %(zones)d) / ignoring (finding) %(accountZones)s > %(fraction)g
          or
          (%(zonesWith)s{finding="failing"} > %(many)d) / ignoring (finding) %(accountZones)s
        )
        %(listable)s
      ||| % {
        zonesWith: recorded.zonesWith,
        accountZones: recorded.accountZones,
        zones: t.AccountPollsFailing.zones,
        fraction: t.AccountPollsFailing.fraction,
        many: config.manyZones,
        listable: listable,
      },
      summary: 'Many zones of an account cannot be read.',
      description: |||
        The polls of {{ $value | humanizePercentage }} of the zones of account
        {{ $labels.account }} fail, although its zones can be listed. Look up the reason in the
        exporter's log. A missing permission or an outage of the API is likely.
      |||,
    },
    {
      // Left out are refusals that say nothing about the API's health, and what RateLimited reports.
      name: 'ApiErrors',
      expr: |||
        sum by (job, cluster, account) (
          rate(cloudflare_origin_region_exporter_api_errors_total{$,reason!~"not_found|forbidden|rate_limited"}[10m])
        )
        /
        sum by (job, cluster, account) (rate(cloudflare_origin_region_exporter_api_requests_total{$}[10m]))
        > %g
      ||| % t.ApiErrors.ratio,
      summary: 'Many requests to the Cloudflare API fail.',
      description: |||
        {{ $value | humanizePercentage }} of the API requests of account {{ $labels.account }} fail:
        {{ range $i, $error := printf "group by (operation, reason) (rate(cloudflare_origin_region_exporter_api_errors_total{job=%q,account=%q,reason!~\"not_found|forbidden|rate_limited\"}[10m]) > 0)" $labels.job $labels.account | query }}{{ if lt $i 10 }}{{ if $i }}, {{ end }}{{ $error.Labels.operation }} {{ $error.Labels.reason }}{{ end }}{{ end }}.
        Look up the reasons in the runbook.
      |||,
    },
    {
      name: 'RateLimited',
      expr: |||
        sum by (job, cluster, account) (
          increase(cloudflare_origin_region_exporter_api_errors_total{$,reason="rate_limited"}[20m])
        ) > 0
      |||,
      summary: 'Cloudflare keeps rate limiting an account.',
      description: |||
        The API keeps answering account {{ $labels.account }} with 429. The exporter pauses after
        each, and zones are read late. Find out what else uses this user's quota, or lower
        cloudflare.rate_limit.share.
      |||,
    },
    {
      name: 'PollLag',
      expr: |||
        max by (job, cluster, account) (cloudflare_origin_region_exporter_poll_lag_seconds{$})
        > on (job, cluster) group_left ()
        clamp_min(%g * max by (job, cluster) (cloudflare_origin_region_exporter_poll_interval_seconds{$}), %d)
      ||| % [t.PollLag.intervals, t.PollLag.seconds],
      summary: 'The zones of an account are polled far too late.',
      description: |||
        The most overdue zone of account {{ $labels.account }} is {{ $value | humanizeDuration }}
        late. The request budget does not allow the interval. Lengthen poll.interval, poll fewer
        zones, or raise cloudflare.rate_limit.share.
      |||,
    },
    {
      name: 'AuditLogFailing',
      expr: |||
        max by (job, cluster, account) (cloudflare_origin_region_exporter_audit_log_up{$}) == 0
        %s
      ||| % listable,
      summary: "Cloudflare's audit log cannot be read.",
      description: |||
        Reading the audit log has failed for an hour for account {{ $labels.account }}. Polls go on
        as scheduled, but changes show up later and without the name of who made them. The token
        probably lacks the permission Account Settings Read.
      |||,
    },
    {
      name: 'ZonePollFailing',
      expr: zones('failing') + ' ' + listable,
      dashboard: 'zone',
      summary: 'The mappings of a zone cannot be read.',
      description: |||
        Every poll of zone {{ $labels.zone }} (account {{ $labels.account }}) has failed for 15
        minutes, with
        {{ range $i, $reason := printf "group by (reason) (increase(cloudflare_origin_region_zone_poll_errors_total{job=%q,zone_id=%q}[1h]) > 0)" $labels.job $labels.zone_id | query | sortByLabel "reason" }}{{ if $i }}, {{ end }}{{ $reason.Labels.reason }}{{ else }}a reason that the exporter's log gives{{ end }}.
        What is shown of it is the last that was read. Look up the reason in the runbook.
      |||,
    },
    {
      name: 'ZoneDataTooOld',
      expr: zones('too_old'),
      dashboard: 'zone',
      summary: 'The data of a zone is too old to rely on.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) was last read
        {{ $value | humanizeDuration }} ago. Nothing that is shown of it is newer, findings
        included. See whether its polls fail or come late.
      |||,
    },
    {
      name: 'RowsRejected',
      expr: zones('rejected'),
      dashboard: 'zone',
      summary: 'Some mappings of a zone cannot be read.',
      description: |||
        Cloudflare lists mappings of zone {{ $labels.zone }} (account {{ $labels.account }}) that the
        exporter cannot read. They count as missing. The exporter's log has each of them.
      |||,
    },

    // Are the mappings what they should be?

    {
      name: 'MappingMissing',
      expr: zones('missing'),
      dashboard: 'zone',
      summary: 'Origins have no cloud region mapping.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) has {{ $value }} expected origins
        without a mapping:
        {{ range $i, $origin := printf "group by (origin_ip, source, host, expected_vendor, expected_region) (cloudflare_origin_region_missing_mapping{job=%q,zone_id=%q})" $labels.job $labels.zone_id | query | sortByLabel "origin_ip" }}{{ if lt $i 10 }}{{ if $i }}, {{ end }}{{ $origin.Labels.origin_ip }} (by {{ $origin.Labels.source }}{{ with $origin.Labels.host }} {{ . }}{{ end }}{{ with $origin.Labels.expected_vendor }}, in {{ . }}{{ end }}{{ with $origin.Labels.expected_region }} {{ . }}{{ end }}){{ else }}{{ if eq $i 10 }} and more{{ end }}{{ end }}{{ end }}.
        Add the mappings in Cloudflare; the command plan writes them for you.
      |||,
    },
    {
      name: 'MappingWrong',
      expr: zones('wrong'),
      dashboard: 'zone',
      summary: 'Mappings name the wrong cloud region.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) has {{ $value }} mappings that the
        check {{ $labels.check }} finds wrong:
        {{ range $i, $origin := printf "group by (origin_ip, vendor, region, expected_vendor, expected_region) (cloudflare_origin_region_wrong_mapping{job=%q,zone_id=%q,check=%q})" $labels.job $labels.zone_id $labels.check | query | sortByLabel "origin_ip" }}{{ if lt $i 10 }}{{ if $i }}, {{ end }}{{ $origin.Labels.origin_ip }} is mapped to {{ $origin.Labels.vendor }} {{ $origin.Labels.region }}{{ if or $origin.Labels.expected_vendor $origin.Labels.expected_region }} and expected in {{ $origin.Labels.expected_vendor }} {{ $origin.Labels.expected_region }}{{ end }}{{ else }}{{ if eq $i 10 }} and more{{ end }}{{ end }}{{ end }}.
        Correct the mappings in Cloudflare, or the expectation; the command plan shows how.
      |||,
    },
    {
      name: 'MappingStale',
      expr: zones('stale'),
      dashboard: 'zone',
      summary: 'Mappings have not been confirmed for a long time.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) has {{ $value }} mappings that nobody
        has written for longer than its stale_after. Check whether the origins are still where the
        mappings say, and write the right ones again.
      |||,
    },
    {
      name: 'MappingUnused',
      expr: zones('unused'),
      dashboard: 'zone',
      summary: 'Mappings belong to addresses that are no origins any more.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) has {{ $value }} mappings of
        addresses that no record, load balancer, rule or declaration has named for longer than
        expect.unused_after. Remove them; the command plan --prune lists them.
      |||,
    },
    {
      name: 'HostRotating',
      expr: zones('rotating'),
      dashboard: 'zone',
      summary: 'Origin hosts have too many addresses to map.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) has {{ $value }} origin hosts with
        more addresses than mappings can follow. Their addresses are not reported as missing. Put a
        static address in front of them, such as a network load balancer.
      |||,
    },
    {
      name: 'HostUnresolvable',
      expr: zones('unresolvable'),
      dashboard: 'zone',
      summary: 'Origin hosts cannot be resolved.',
      description: |||
        {{ $value }} origin hosts of zone {{ $labels.zone }} (account {{ $labels.account }})
        {{ if eq $labels.state "failing" }}could not be resolved{{ else }}have no address{{ end }}
        for an hour. Whether their mappings are right is unknown. Check the names in the zone's
        records, load balancers and rules.
      |||,
    },
    {
      name: 'ZoneUnmapped',
      expr: zones('unmapped'),
      dashboard: 'zone',
      summary: 'A zone with Smart Tiered Cache has no mapping at all.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) has no mapping at all, although Smart
        Tiered Cache is on and {{ $value }} of its origins should have one. Somebody may have
        deleted them. Write them again; the command plan does it for you.
      |||,
    },
    {
      name: 'MappingsRemoved',
      expr: zones('removed'),
      dashboard: 'zone',
      summary: 'Mappings of a zone were removed.',
      description: |||
        About {{ printf "%.0f" $value }} mappings of zone {{ $labels.zone }} (account
        {{ $labels.account }}) were removed within the last 30 minutes. The exporter's page of
        changes lists them. If nobody meant to, write them again.
      |||,
    },
    {
      name: 'TieredCacheOff',
      expr: zones('idle'),
      dashboard: 'zone',
      summary: 'Mappings have no effect because tiered cache is off.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) has {{ $value }} mappings, but Tiered
        Cache or Smart Tiered Cache is off, so they have no effect. Turn both on under Caching,
        Tiered Cache, or remove the mappings.
      |||,
    },
    {
      name: 'ZoneNearLimit',
      expr: |||
        job_zone:cloudflare_origin_region_zone_mappings:max
        / on (job, cluster) group_left ()
        max by (job, cluster) (cloudflare_origin_region_zone_mappings_limit{$})
        > %g
      ||| % t.ZoneNearLimit.fraction,
      dashboard: 'zone',
      summary: 'A zone has nearly as many mappings as Cloudflare allows.',
      description: |||
        Zone {{ $labels.zone }} (account {{ $labels.account }}) has used
        {{ $value | humanizePercentage }} of the mappings that Cloudflare allows. At the limit, no
        further one can be added. Remove those of origins that are gone.
      |||,
    },

    // One alert for many zones with the same finding.

    {
      name: 'FindingInManyZones',
      expr: manyZones('FindingInManyZones', ['missing', 'wrong', 'idle', 'rotating', 'unresolvable', 'unmapped', 'rejected', 'too_old']),
      dashboard: 'overview',
      summary: 'Many zones of an account have the same finding.',
      description: many,
    },
    {
      name: 'MinorFindingInManyZones',
      expr: manyZones('MinorFindingInManyZones', ['stale', 'unused', 'removed']),
      dashboard: 'overview',
      summary: 'Many zones of an account have the same minor finding.',
      description: many,
    },

    // Is the exporter set up and well?

    {
      // Until every account has been listed, nothing can match.
      name: 'ZonesUnmatched',
      expr: |||
        max by (job, cluster, kind) (cloudflare_origin_region_exporter_unmatched_zones{$}) > 0
        unless on (job, cluster) %s
      ||| % recorded.unlisted,
      summary: "Names in the exporter's configuration match no zone.",
      description: |||
        {{ $value }} entries of the kind "{{ $labels.kind }}" in the configuration of job
        {{ $labels.job }} match no zone, so they do nothing. The exporter's log names them.
        Correct or remove them.
      |||,
    },
    {
      // The second arm: one that dies with a bad configuration does not start again.
      name: 'ReloadFailed',
      expr: |||
        min by (job, cluster, instance) (cloudflare_origin_region_exporter_config_last_reload_successful{$}) == 0
        or
        (
          min by (job, cluster, instance) (
            last_over_time(cloudflare_origin_region_exporter_config_last_reload_successful{$}[6h])
          ) == 0
          and on (job, cluster, instance)
          up{$} == 0
        )
      |||,
      summary: 'The exporter rejected its new configuration.',
      description: |||
        The last configuration that {{ $labels.instance }} (job {{ $labels.job }}) was given is
        invalid. It runs on with the old one, and does not start with the new one. Its log lists the
        errors, as does its check command. Correct them and reload.
      |||,
    },
    {
      // The window rather than a pending time of a day, which every restart would begin anew.
      name: 'VendorRangesOld',
      expr: 'max by (job, cluster, vendor) (max_over_time(cloudflare_origin_region_vendor_ranges_up{$}[1d])) == 0',
      summary: "A cloud vendor's address ranges are old or were never loaded.",
      description: |||
        The address ranges of {{ $labels.vendor }} have not been refreshed for a day, or not since
        the exporter was started. Its origins are judged by old ranges or not at all. Check
        verify.vendor_ranges.sources and the connection to it.
      |||,
    },
    {
      name: 'DnsFailing',
      expr: |||
        sum by (job, cluster, instance) (rate(cloudflare_origin_region_exporter_dns_queries_total{$,result="failed"}[10m]))
        / sum by (job, cluster, instance) (rate(cloudflare_origin_region_exporter_dns_queries_total{$}[10m]))
        > %g
      ||| % t.DnsFailing.fraction,
      summary: 'Most DNS queries of the exporter fail.',
      description: |||
        {{ $value | humanizePercentage }} of the DNS queries of {{ $labels.instance }} (job
        {{ $labels.job }}) fail. Addresses of origin hosts stay as they were last known, and go after
        hosts.window. Check the name servers and hosts.nameservers.
      |||,
    },
    {
      name: 'StorageFailing',
      expr: 'min by (job, cluster, instance) (cloudflare_origin_region_exporter_storage_up{$}) == 0',
      summary: 'The exporter cannot write to its storage.',
      description: |||
        {{ $labels.instance }} (job {{ $labels.job }}) has not been able to write to its storage for
        10 minutes. It goes on from memory; a restart now loses what changed since. See whether the
        disk is full or read-only.
      |||,
    },
    {
      // At a start the counter may begin at 1, which increase() does not see.
      name: 'StorageReset',
      expr: |||
        sum by (job, cluster, instance) (
          max by (job, cluster, instance, operation) (
            cloudflare_origin_region_exporter_storage_errors_total{$,operation="read"}
          )
        ) > 0
        and on (job, cluster, instance)
        (time() - max by (job, cluster, instance) (process_start_time_seconds{$})) < 86400
      |||,
      summary: "The exporter's storage could not be read whole.",
      description: |||
        {{ $labels.instance }} (job {{ $labels.job }}) could not read all of its storage since its
        last start. What it could not read is missing, possibly the history of changes too. A file
        that it could not use was set aside. The exporter's log says what happened. This ends a day
        after the start.
      |||,
    },
    {
      name: 'CertificateExpiring',
      expr: |||
        min by (job, cluster, instance) (cloudflare_origin_region_exporter_web_certificate_not_after_timestamp_seconds{$})
        - time() < %d * 86400
      ||| % t.CertificateExpiring.days,
      summary: "The certificate of the exporter's web server expires soon.",
      description: |||
        The certificate that {{ $labels.instance }} (job {{ $labels.job }}) serves
        {{ if lt $value 0.0 }}has expired{{ else }}expires in {{ $value | humanizeDuration }}{{ end }}.
        Prometheus cannot scrape it afterwards. Renew the file; it is read again by itself.
      |||,
    },
    {
      name: 'LogLinesDropped',
      expr: 'sum by (job, cluster, instance) (increase(cloudflare_origin_region_exporter_log_lines_dropped_total{$}[15m])) > 0',
      summary: 'Log lines of the exporter are lost.',
      description: |||
        {{ $labels.instance }} (job {{ $labels.job }}) dropped {{ printf "%.0f" $value }} log lines
        within 15 minutes because nothing read them fast enough. See what collects its log, or lower
        the log level.
      |||,
    },
  ]
