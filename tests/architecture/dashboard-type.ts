import type { Dashboard, FieldConfig, Panel, RowPanel } from "@grafana/grafana-foundation-sdk/dashboard";
import type { Dataquery } from "@grafana/grafana-foundation-sdk/prometheus";
import type {
  FieldConfig as TimeSeriesFieldConfig,
  Options as TimeSeriesOptions,
} from "@grafana/grafana-foundation-sdk/timeseries";

/** A panel of Grafana's plugin `timeseries` with queries of Prometheus. */
type TimeSeriesPanel = Omit<Panel, "type" | "targets" | "options" | "fieldConfig"> & {
  readonly type: "timeseries";
  readonly targets: readonly Omit<Dataquery, "_implementsDataqueryVariant">[];
  readonly options: TimeSeriesOptions;
  readonly fieldConfig: {
    readonly defaults: Omit<FieldConfig, "custom"> & { readonly custom: TimeSeriesFieldConfig };
    readonly overrides: readonly never[];
  };
};

/** A dashboard of rows and time series, by the types that Grafana generates from its own schemas. */
export type TimeSeriesDashboard = Omit<Dashboard, "panels"> & {
  readonly panels: readonly ((RowPanel & { readonly type: "row" }) | TimeSeriesPanel)[];
};
