import {
  LegendDisplayMode,
  LegendPlacement,
  SortOrder,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import { DashboardBuilder, DatasourceVariableBuilder, RowBuilder } from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import { objectives } from "./objectives.ts";

/** A panel: one graph over time. */
interface Graph {
  readonly title: string;
  /** What to read from it. */
  readonly description: string;
  /** A unit of Grafana: `s`, `percentunit`, `bytes`, `short`; per second `reqps` (requests), `rps` (reads), `cps` (anything). */
  readonly unit: string;
  /** PromQL by the legend of its series. */
  readonly queries: Readonly<Record<string, string>>;
}

const publicCalls = 'port="public"';
const rate = (series: string) => `rate(${series}[$__rate_interval])`;
const quantile = (part: number, histogram: string, labels = "", by = "") =>
  `histogram_quantile(${part}, sum by (${by}le) (${rate(`${histogram}_bucket{${labels}}`)}))`;

/** Rows of graphs, from what customers notice to its causes. */
const rows: Readonly<Record<string, readonly Graph[]>> = {
  Objectives: [
    {
      title: "Burn rate over an hour",
      description:
        "1 spends the error budget of 30 days in 30 days; above 14.4 pages, unless only a few events were bad. Only if there were calls.",
      unit: "short",
      queries: Object.fromEntries(
        objectives.map(({ slo, target }) => [
          slo,
          `slo:errors:ratio_rate1h{slo="${slo}"} / ${Number((1 - target).toPrecision(6))}`,
        ]),
      ),
    },
    {
      title: "Error budget left of three days",
      description: "Below 0, more failed in the last three days than the objective allows.",
      unit: "percentunit",
      queries: Object.fromEntries(
        objectives.map(({ slo, target }) => [
          slo,
          `1 - slo:errors:ratio_rate3d{slo="${slo}"} / ${Number((1 - target).toPrecision(6))}`,
        ]),
      ),
    },
  ],
  "Public port": [
    {
      title: "Calls by method",
      description: "Calls at the public port, whatever their result.",
      unit: "reqps",
      queries: { "{{method}}": `sum by (method) (${rate(`shop_rpc_duration_seconds_count{${publicCalls}}`)})` },
    },
    {
      title: "Calls by code",
      description:
        "resource_exhausted: refused because of load or a limit. unavailable, deadline_exceeded, internal, unknown, data_loss: failures of the shop.",
      unit: "reqps",
      queries: { "{{code}}": `sum by (code) (${rate(`shop_rpc_duration_seconds_count{${publicCalls}}`)})` },
    },
    {
      title: "Duration, 99th percentile",
      description: "Of successful calls, by method. The highest value that can be shown is 10 s.",
      unit: "s",
      queries: { "{{method}}": quantile(0.99, "shop_rpc_duration_seconds", `${publicCalls},code="ok"`, "method, ") },
    },
  ],
  Orders: [
    {
      title: "Orders decided",
      description: "Confirmed, rejected, or cancelled because they were not decided in time.",
      unit: "cps",
      queries: { decided: `sum(${rate("shop_order_decision_seconds_count")})` },
    },
    {
      title: "Time to the decision",
      description: "From placing an order to its decision.",
      unit: "s",
      queries: {
        median: quantile(0.5, "shop_order_decision_seconds"),
        "99th percentile": quantile(0.99, "shop_order_decision_seconds"),
      },
    },
    {
      title: "Findings of audits",
      description: "Any above 0 is a broken guarantee.",
      unit: "short",
      queries: { "{{service}} {{invariant}}": "max by (service, invariant) (shop_audit_findings)" },
    },
  ],
  Events: [
    {
      title: "Oldest unpublished event",
      description: "Age of the oldest event in each outbox.",
      unit: "s",
      queries: { "{{service}}": "max by (service) (shop_outbox_oldest_pending_age_seconds)" },
    },
    {
      title: "Events in outboxes",
      description: "Committed and not yet published.",
      unit: "short",
      queries: { "{{service}}": "max by (service) (shop_outbox_pending_events)" },
    },
    {
      title: "Events waiting for their consumer",
      description: "Not yet delivered to it.",
      unit: "short",
      queries: { "{{consumer}}": "max by (consumer) (shop_consumer_pending_messages)" },
    },
    {
      title: "Events in progress",
      description: "Delivered and not acknowledged; those delivered again are marked.",
      unit: "short",
      queries: {
        "{{consumer}}": "max by (consumer) (shop_consumer_unacknowledged_messages)",
        "{{consumer}} again": "max by (consumer) (shop_consumer_redelivered_messages)",
      },
    },
    {
      title: "Dead letters",
      description: "Events that their consumer gave up.",
      unit: "short",
      queries: { "{{consumer}}": "max by (consumer) (shop_dead_letters)" },
    },
  ],
  Resources: [
    {
      title: "Dependencies",
      description: "0 while a process can't read it.",
      unit: "short",
      queries: { "{{dependency}}": "min by (dependency) (shop_dependency_up)" },
    },
    {
      title: "CPU",
      description: "Cores in use, by process.",
      unit: "short",
      queries: { "{{instance}}": `sum by (instance) (${rate("process_cpu_seconds_total")})` },
    },
    {
      title: "Memory",
      description: "Resident memory, by process, and the cached answers in it.",
      unit: "bytes",
      queries: {
        "{{instance}}": "sum by (instance) (process_resident_memory_bytes)",
        "{{instance}} cache": "sum by (instance) (shop_cache_memory_bytes)",
      },
    },
    {
      title: "Event loop delay, 99th percentile",
      description: "Every call of the process waits that long.",
      unit: "s",
      queries: { "{{instance}}": "max by (instance) (nodejs_eventloop_lag_p99_seconds)" },
    },
    {
      title: "Cached reads by source",
      description: "origin is the database.",
      unit: "rps",
      queries: { "{{source}}": `sum by (source) (${rate("shop_cache_reads_total")})` },
    },
    {
      title: "Refusals by limits of connections and buffers",
      description:
        "Connections, and requests or answers, refused a second because of the limits of connections and of buffered bytes.",
      unit: "cps",
      queries: {
        connections: `sum(${rate("shop_connections_refused_total")}) or vector(0)`,
        buffers: `sum(${rate("shop_bytes_refused_total")}) or vector(0)`,
      },
    },
    {
      title: "Broken connections",
      description: "error: by what the peer did. exception: a defect of ours.",
      unit: "cps",
      queries: {
        errors: `sum(${rate('shop_network_errors_total{kind="error"}')}) or vector(0)`,
        exceptions: `sum(${rate('shop_network_errors_total{kind="exception"}')}) or vector(0)`,
      },
    },
  ],
};

/** The dashboard, in Grafana's JSON model. */
export function grafanaDashboard(): string {
  const dashboard = new DashboardBuilder("Shop")
    .uid("shop")
    .description(
      "What the shop promises, and what it depends on. Generated by `npm run generate` from tools/src/monitoring.",
    )
    .tags(["shop"])
    .time({ from: "now-6h", to: "now" })
    .refresh("30s")
    .withVariable(new DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus"));
  for (const [title, graphs] of Object.entries(rows)) {
    dashboard.withRow(new RowBuilder(title));
    for (const graph of graphs) dashboard.withPanel(panelOf(graph));
  }
  return `${JSON.stringify(dashboard.build(), undefined, 2)}\n`;
}

function panelOf({ title, description, unit, queries }: Graph): PanelBuilder {
  const panel = new PanelBuilder()
    .title(title)
    .description(description)
    .unit(unit)
    .datasource({ type: "prometheus", uid: "$datasource" })
    .height(8)
    .span(8)
    .fillOpacity(10)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  for (const [index, [legend, expression]] of Object.entries(queries).entries())
    panel.withTarget(
      new DataqueryBuilder()
        .refId(String.fromCharCode(65 + index))
        .expr(expression)
        .legendFormat(legend)
        .range(),
    );
  return panel;
}
