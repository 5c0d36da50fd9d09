// Which alert makes which others superfluous, for Alertmanager's `inhibit_rules`.
function(config)
  local name(short) = config.alertNamePrefix + short;
  local names(shorts) = if std.length(shorts) == 1
  then 'alertname = "%s"' % name(shorts[0])
  else 'alertname =~ "%s(%s)"' % [config.alertNamePrefix, std.join('|', shorts)];
  local rule(sources, targets, equal, finding='') = {
    source_matchers: [names(sources)],
    target_matchers: [names(targets)] + if finding == '' then [] else ['finding = "%s"' % finding],
    equal: [if label == 'cluster' then config.clusterLabel else label for label in equal],
  };
  local job = ['job', 'cluster'];
  local account = job + ['account'];
  local zone = job + ['zone_id'];
  local instance = job + ['instance'];

  [
    // Nothing is scraped: the cause is one.
    rule(['ExporterAbsent'], ['ExporterVanished', 'ExporterDown', 'ExporterFlapping'], []),
    rule(['ExporterVanished'], ['ExporterDown', 'ExporterFlapping', 'ReplicaMissing', 'ShardMissing'], job),
    rule(['ExporterDown', 'ExporterRestarting'], ['ExporterFlapping'], instance),
    rule(['ExporterDown'], ['ReplicaMissing'], job),

    // An account that cannot be read is one alert.
    rule(['TokenInvalid'], ['DiscoveryFailing', 'TokenExpiring'], account),
    rule(
      ['TokenInvalid', 'DiscoveryFailing'],
      ['AccountPollsFailing', 'ApiErrors', 'PollLag', 'AuditLogFailing', 'ZonePollFailing', 'ZoneDataTooOld', 'RowsRejected'],
      account
    ),
    rule(['AccountPollsFailing'], ['ZonePollFailing', 'ZoneDataTooOld'], account),
    rule(['RateLimited'], ['PollLag', 'ZoneDataTooOld'], account),
    rule(['PollLag'], ['ZoneDataTooOld'], account),
    rule(['ZonesVanished'], ['ZonesFewer'], account),
    rule(
      ['TokenInvalid', 'DiscoveryFailing', 'AccountPollsFailing', 'RateLimited', 'PollLag'],
      ['FindingInManyZones'],
      account,
      'too_old'
    ),

    // A zone.
    rule(['ZonePollFailing'], ['ZoneDataTooOld'], zone),
    rule(['ZoneUnmapped'], ['MappingMissing', 'MappingsRemoved'], zone),
    rule(['DnsFailing'], ['HostUnresolvable'], job),
  ]
