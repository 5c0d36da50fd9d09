// What an installation may want to change. Override it where the mixin is imported:
//
//   (import 'mixin.libsonnet') + { _config+:: { selector: 'job="origin-region"' } }
{
  _config+:: {
    // Matchers on every series of the exporter that rules read, such as 'job="origin-region"'.
    selector: '',
    // Finds a target that was never up, of which there is no series but `up`.
    targetSelector: 'job=~".*origin-region-exporter.*"',
    // The label that tells clusters apart. It does not have to exist.
    clusterLabel: 'cluster',

    // Added to every alert.
    alertLabels: {},
    alertNamePrefix: 'OriginRegion',
    // The anchor of an alert is its whole name in lower case.
    runbookBase: 'https://github.com/cloudflare-origin-region-exporter/cloudflare-origin-region-exporter/blob/main/deploy/runbooks.md#',
    // Where Grafana is, without a slash at the end.
    grafanaUrl: 'http://localhost:3000',
    dashboardUids: {
      overview: 'origin-region-overview',
      zone: 'origin-region-zone',
      exporter: 'origin-region-exporter',
    },
    dashboardTags: ['origin-region'],

    // Beyond this many zones of an account with the same finding, one alert stands for all of them.
    manyZones: 30,

    // Each alert: whether it is there, how severe it is, how long its condition lasts before it
    // fires, how long it fires on, and its thresholds.
    local alert = { enabled: true, severity: 'warning', pending: '15m', keepFiring: '20m' },
    alerts: {
      ExporterAbsent: alert { severity: 'critical', pending: '10m', keepFiring: '' },
      ExporterVanished: alert { severity: 'critical', pending: '10m', keepFiring: '' },
      ExporterDown: alert { pending: '5m', keepFiring: '' },
      ExporterFlapping: alert { pending: '', keepFiring: '15m', availability: 0.9 },
      ExporterRestarting: alert { pending: '', keepFiring: '', startsAnHour: 3 },
      ReplicaMissing: alert { severity: 'info', keepFiring: '' },
      ShardMissing: alert { severity: 'critical', pending: '10m', keepFiring: '' },
      LabelsNotHonored: alert { pending: '', keepFiring: '' },

      DiscoveryFailing: alert,
      ZonesVanished: alert { fraction: 0.5 },
      ZonesFewer: alert { severity: 'info', keepFiring: '' },
      TokenInvalid: alert { severity: 'critical', pending: '5m' },
      TokenExpiring: alert { pending: '1h', days: 14 },
      AccountPollsFailing: alert { fraction: 0.5, zones: 5 },
      // It waits longer than the listing of zones needs to fail as well, and ends before the alert of
      // that does, so that it is inhibited from beginning to end.
      ApiErrors: alert { ratio: 0.1, pending: '20m', keepFiring: '5m' },
      // The window is longer than the longest pause after a 429 (15 minutes), and the pending time
      // longer than the window: a single 429 stays silent, repeated ones do not.
      RateLimited: alert { pending: '25m' },
      // The multiple of poll.interval that is tolerated, and never less than this many seconds.
      PollLag: alert { pending: '30m', intervals: 2, seconds: 60 },
      AuditLogFailing: alert { severity: 'info', pending: '1h' },

      ZonePollFailing: alert,
      // The multiple of the zone's interval that is tolerated, and never less than this many seconds.
      ZoneDataTooOld: alert { pending: '5m', intervals: 3, seconds: 1800 },
      RowsRejected: alert,

      MappingMissing: alert { pending: '10m' },
      MappingWrong: alert,
      MappingStale: alert { severity: 'info', pending: '1h' },
      MappingUnused: alert { severity: 'info', pending: '1h' },
      HostRotating: alert { pending: '30m' },
      HostUnresolvable: alert { pending: '1h' },
      ZoneUnmapped: alert { pending: '1h' },
      MappingsRemoved: alert { severity: 'info', pending: '', keepFiring: '' },
      TieredCacheOff: alert { pending: '2h' },
      ZoneNearLimit: alert { fraction: 0.9 },

      FindingInManyZones: alert,
      MinorFindingInManyZones: alert { severity: 'info' },

      ZonesUnmatched: alert { severity: 'info', pending: '30m' },
      ReloadFailed: alert { pending: '5m', keepFiring: '' },
      VendorRangesOld: alert { severity: 'info', pending: '1h', keepFiring: '' },
      DnsFailing: alert { fraction: 0.5 },
      StorageFailing: alert { pending: '10m' },
      StorageReset: alert { severity: 'info', pending: '', keepFiring: '' },
      CertificateExpiring: alert { pending: '1h', days: 14 },
      LogLinesDropped: alert { severity: 'info', pending: '' },
    },
  },
}
