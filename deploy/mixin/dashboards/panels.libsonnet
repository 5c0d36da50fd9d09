// Panels of Grafana in the few forms that the dashboards use.
local datasource = { type: 'prometheus', uid: '${datasource}' };

// Values that are no numbers: below zero, so that no count is taken for one.
local reasons = {
  partly: { value: -1, text: 'not all read' },
  unjudged: { value: -2, text: 'not judged' },
  gone: { value: -3, text: 'exporter gone' },
  rules: { value: -4, text: 'rules not loaded' },
  unread: { value: -5, text: 'not read yet' },
  failed: { value: -6, text: 'last poll failed' },
  unlisted: { value: -7, text: 'not all listed' },
};
local grey = '#8e8e8e';

{
  grey:: grey,
  // For graphs whose cost grows with the number of zones: each zone costs at each point.
  fewPoints:: 100,
  fewBars:: 45,
  reasons:: reasons,
  datasource:: datasource,

  target(expr, legend='', format='time_series', instant=false):: {
    datasource: datasource,
    expr: std.rstripChars(expr, '\n'),
    legendFormat: if legend == '' then '__auto' else legend,
    format: format,
    instant: instant,
    range: !instant,
    editorMode: 'code',
  },

  instant(expr, legend=''):: self.target(expr, legend, 'time_series', true),
  rows(expr):: self.target(expr, '', 'table', true),

  withRefs(targets):: [
    { refId: std.char(65 + index) } + targets[index]
    for index in std.range(0, std.length(targets) - 1)
  ],

  thresholds(steps, mode='absolute'):: {
    mode: mode,
    steps: [{ color: step[1], value: step[0] } for step in steps],
  },

  // Numbers with a text of their own: [[value, text, color], …].
  values(list):: {
    type: 'value',
    options: {
      [std.toString(list[index][0])]: { text: list[index][1], color: list[index][2], index: index }
      for index in std.range(0, std.length(list) - 1)
    },
  },
  reasonMapping:: self.values([[reasons[name].value, reasons[name].text, grey] for name in std.objectFields(reasons)]),
  nothing(text):: { type: 'special', options: { match: 'null+nan', result: { text: text, color: grey, index: 90 } } },

  // An override for a column or a series.
  named(name, properties):: {
    matcher: { id: 'byName', options: name },
    properties: [{ id: id, value: properties[id] } for id in std.objectFields(properties)],
  },
  dashed(name, color=grey):: self.named(name, {
    'custom.lineStyle': { fill: 'dash', dash: [8, 8] },
    'custom.fillOpacity': 0,
    'custom.lineWidth': 1,
    color: { mode: 'fixed', fixedColor: color },
  }),

  panel(type, title, description, targets):: {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    targets: $.withRefs(targets),
    fieldConfig: { defaults: { unit: 'short' }, overrides: [] },
    options: {},
  },

  stat(title, description, targets, steps=[[null, 'green'], [1, 'red']], unit='locale', mappings=[], noValue='no data', textMode='value', links=[], overrides=[], orientation='auto'):: $.panel('stat', title, description, targets) {
    fieldConfig: {
      defaults: {
        unit: unit,
        decimals: if unit == 'locale' then 0 else null,
        color: { mode: 'thresholds' },
        // Whatever is not known is grey.
        noValue: noValue,
        mappings: [$.reasonMapping, $.nothing(noValue)] + mappings,
        thresholds: $.thresholds(steps),
        links: links,
      },
      overrides: overrides,
    },
    options: {
      colorMode: 'background',
      graphMode: 'none',
      justifyMode: 'center',
      orientation: orientation,
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      textMode: textMode,
      // Rows of a name and a value are too low for the size that Grafana picks.
      [if orientation == 'horizontal' then 'text']: { titleSize: 13, valueSize: 18 },
      wideLayout: true,
    },
  },

  // `nothing` is what the panel says where it has no row; `noValue` is for a cell without a value.
  table(title, description, targets, transformations=[], overrides=[], sort=[], noValue='', nothing='Nothing is reported. See the first row for what is known.'):: $.panel('table', title, description, targets) {
    fieldConfig: {
      defaults: {
        unit: 'locale',
        custom: { align: 'auto', minWidth: 70, cellOptions: { type: 'auto' }, filterable: false },
        noValue: nothing,
        thresholds: $.thresholds([[null, 'text']]),
      },
      overrides: [{ matcher: { id: 'byRegexp', options: '/.*/' }, properties: [{ id: 'noValue', value: noValue }] }] + overrides,
    },
    options: { cellHeight: 'sm', showHeader: true, footer: { show: false }, sortBy: sort },
    transformations: transformations,
  },

  // Joins instant vectors by their labels into columns. Each column: [name before, name after].
  columns(order, hidden=[]):: [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: { Time: true } + { [name]: true for name in hidden },
        indexByName: { [order[index][0]]: index for index in std.range(0, std.length(order) - 1) },
        renameByName: { [column[0]]: column[1] for column in order },
      },
    },
  ],

  // Bars count what happened in each interval of the graph; of less than a minute, an interval may
  // hold no scrape.
  timeseries(title, description, targets, unit='locale', overrides=[], stack=false, steps=null, bars=false, counted=bars, min=0, points=null):: $.panel('timeseries', title, description, targets) {
    [if points != null then 'maxDataPoints']: points,
    [if counted then 'interval']: '1m',
    fieldConfig: {
      defaults: {
        unit: unit,
        decimals: if unit == 'locale' then 0 else null,
        min: min,
        color: { mode: 'palette-classic' },
        noValue: 'no data',
        [if steps != null then 'thresholds']: $.thresholds(steps),
        custom: {
          drawStyle: if bars then 'bars' else 'line',
          lineWidth: 1,
          fillOpacity: if bars then 80 else if stack then 30 else 10,
          pointSize: 4,
          showPoints: 'never',
          spanNulls: false,
          stacking: { mode: if stack then 'normal' else 'none', group: 'A' },
          axisSoftMax: 1,
          [if steps != null then 'thresholdsStyle']: { mode: 'dashed' },
        },
      },
      overrides: overrides,
    },
    options: {
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
      tooltip: { mode: 'multi', sort: 'desc' },
    },
  },

  bars(title, description, targets, unit='locale'):: $.panel('bargauge', title, description, targets) {
    fieldConfig: {
      defaults: { unit: unit, decimals: 0, min: 0, color: { mode: 'fixed', fixedColor: 'blue' }, noValue: 'no data', thresholds: $.thresholds([[null, 'blue']]) },
      overrides: [],
    },
    options: {
      displayMode: 'basic',
      orientation: 'horizontal',
      showUnfilled: true,
      valueMode: 'text',
      namePlacement: 'left',
      sizing: 'manual',
      minVizHeight: 18,
      maxVizHeight: 26,
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    },
  },

  row(title, panels=[]):: { type: 'row', title: title, collapsed: std.length(panels) > 0, panels: panels },

  // Puts rows of panels below each other. Each row: a height and [[width, panel], …], or one `row`.
  layout(rows)::
    local step(state, row) =
      if std.isObject(row) then state {
        y: state.y + 1,
        list: state.list + [row { gridPos: { x: 0, y: state.y, w: 24, h: 1 } }],
      } else
        local placed = std.foldl(
          function(line, cell) line {
            x: line.x + cell[0],
            list: line.list + [cell[1] { gridPos: { x: line.x, y: state.y, w: cell[0], h: row[0] } }],
          }, row[1], { x: 0, list: [] }
        );
        state { y: state.y + row[0], list: state.list + placed.list };
    local all = std.foldl(step, rows, { y: 0, list: [] }).list;
    [all[index] { id: index + 1 } for index in std.range(0, std.length(all) - 1)],

  variable(name, label, query, multi=true, hide=0):: {
    name: name,
    label: label,
    type: 'query',
    datasource: datasource,
    definition: query,
    query: { qryType: 1, query: query, refId: name },
    refresh: 2,
    sort: 1,
    hide: hide,
    multi: multi,
    includeAll: multi,
    [if multi then 'allValue']: '.*',
    current: if multi then { selected: true, text: ['All'], value: ['$__all'] } else {},
  },

  // Marks on all time series. The value of the expression is a time in seconds, or the sample's own.
  annotation(name, color, expr, title, text='', enable=true, ownTime=false):: {
    name: name,
    datasource: datasource,
    enable: enable,
    hide: false,
    iconColor: color,
    expr: expr,
    titleFormat: title,
    textFormat: text,
    step: '60s',
    useValueForTime: if ownTime then 'off' else 'on',
  },

  dashboard(config, which, title, description, variables, annotations, panels, links=[], from='now-6h'):: {
    uid: config.dashboardUids[which],
    title: title,
    description: description,
    tags: config.dashboardTags,
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '1m',
    time: { from: from, to: 'now' },
    timezone: 'browser',
    links: [{
      type: 'dashboards',
      title: 'Origin region',
      tags: config.dashboardTags,
      asDropdown: false,
      includeVars: true,
      keepTime: true,
      targetBlank: false,
      icon: 'external link',
      tooltip: '',
      url: '',
    }] + links,
    templating: {
      list: [{
        name: 'datasource',
        label: 'Data source',
        type: 'datasource',
        query: 'prometheus',
        current: {},
        hide: 0,
        includeAll: false,
        multi: false,
        refresh: 1,
      }] + variables,
    },
    annotations: { list: annotations },
    panels: panels,
  },
}
