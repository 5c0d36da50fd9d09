{
  grafanaDashboardFolder:: 'Origin Region',

  grafanaDashboards+:: {
    'origin-region-overview.json': import '../../../dashboards/overview.json',
    'origin-region-zone.json': import '../../../dashboards/zone.json',
    'origin-region-exporter.json': import '../../../dashboards/exporter.json',
  },
}
