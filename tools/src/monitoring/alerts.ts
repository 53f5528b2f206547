import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";

/** Wakes the engineer on call (`page`), or waits for the next working day (`ticket`). */
export type Severity = "page" | "ticket";

/** An alert about one condition, in addition to those about objectives. */
export interface Alert {
  readonly alert: string;
  readonly severity: Severity;
  /** PromQL; a window is written `<5m>`, so that a test can shorten it. */
  readonly expression: string;
  /** How long the condition has to hold; 0 s if absent. */
  readonly heldFor?: string;
  /** One line, with Prometheus' templates. */
  readonly summary: string;
}

const createOrder = `${OrderService.typeName}/${OrderService.method.createOrder.name}`;
const orders = `shop_rpc_duration_seconds_count{port="public",method="${createOrder}"`;

/** A counter rose in the last five minutes. A rate alone misses its first value, because the series begins with it. */
function rose(by: string, counter: string): string {
  return `sum by (${by}) (rate(${counter}[<5m>])) > 0 or sum by (${by}) (${counter} unless ${counter} offset <5m>) > 0`;
}

/** Below this, in reads a second, most cached answers expire unused, and the database does not notice. */
const minimumOriginReads = 10;
const originReads = 'sum by (read) (rate(shop_cache_reads_total{source="origin"}[<5m>]))';

/** Gauges of a service have the same value in all its replicas: hence `max`. */
export const alerts: readonly Alert[] = [
  {
    alert: "InvariantBroken",
    severity: "page",
    expression: "max by (service, invariant) (shop_audit_findings) > 0",
    summary: "{{ $value }} findings of {{ $labels.invariant }} in the audit of {{ $labels.service }}",
  },
  {
    alert: "NoMetrics",
    severity: "page",
    expression: 'absent(up{job="shop"} == 1)',
    heldFor: "2m",
    summary: "no process of the shop can be scraped, so no other alert works",
  },
  {
    // Calls that reach no process are in no metric. A process is known to serve the public port by its earlier calls.
    alert: "PublicPortUnreachable",
    severity: "page",
    expression:
      'max(up{job="shop"} and on (instance) last_over_time(shop_rpc_duration_seconds_count{port="public"}[<6h>])) == 0',
    heldFor: "1m",
    summary: "no process that serves the public port can be scraped, so customers may get no answers",
  },
  {
    alert: "ProcessUnreachable",
    severity: "ticket",
    expression: 'up{job="shop"} == 0',
    heldFor: "2m",
    summary: "{{ $labels.instance }} can't be scraped",
  },
  {
    alert: "DependencyUnreadable",
    severity: "ticket",
    expression: "min by (dependency) (shop_dependency_up) == 0",
    heldFor: "1m",
    summary: "a process can't read {{ $labels.dependency }}",
  },
  {
    alert: "DeadLetters",
    severity: "ticket",
    expression: "max by (consumer) (shop_dead_letters) > 0",
    summary: "{{ $labels.consumer }} gave up {{ $value }} events",
  },
  {
    alert: "OutboxDelayed",
    severity: "ticket",
    expression: "max by (service) (shop_outbox_oldest_pending_age_seconds) > 60",
    heldFor: "1m",
    summary: "an event of {{ $labels.service }} is unpublished for {{ $value | humanizeDuration }}",
  },
  {
    alert: "ConsumerBehind",
    severity: "ticket",
    expression: "max by (consumer) (shop_consumer_pending_messages) > 10000",
    heldFor: "5m",
    summary: "{{ $value }} events wait for {{ $labels.consumer }}",
  },
  {
    alert: "ConsumerFailing",
    severity: "ticket",
    expression: "max by (consumer) (shop_consumer_redelivered_messages) > 0",
    heldFor: "10m",
    summary: "events of {{ $labels.consumer }} are delivered again and again",
  },
  {
    alert: "AuditsOverdue",
    severity: "ticket",
    expression: "time() - max by (service) (shop_audit_last_end_timestamp_seconds) > 3 * 3600",
    summary: "the last audit of {{ $labels.service }} ended {{ $value | humanizeDuration }} ago",
  },
  {
    alert: "OrdersRefused",
    severity: "ticket",
    expression: `sum(rate(${orders},code="resource_exhausted"}[<5m>])) / sum(rate(${orders}}[<5m>])) > 0.05`,
    heldFor: "10m",
    summary: "{{ $value | humanizePercentage }} of the orders are refused because of load",
  },
  {
    alert: "CallsFailInternally",
    severity: "ticket",
    expression: rose("method", 'shop_rpc_duration_seconds_count{code=~"internal|unknown|data_loss"}'),
    summary: "calls of {{ $labels.method }} fail by a defect",
  },
  {
    alert: "ExceptionContained",
    severity: "ticket",
    expression: rose("on", 'shop_network_errors_total{kind="exception"}'),
    summary: "a peer reached a defect that throws, on a {{ $labels.on }}",
  },
  {
    alert: "EventLoopDelayed",
    severity: "ticket",
    expression: "max by (instance) (nodejs_eventloop_lag_p99_seconds) > 0.25",
    heldFor: "10m",
    summary: "the event loop of {{ $labels.instance }} is late by {{ $value | humanizeDuration }}",
  },
  {
    alert: "CacheIneffective",
    severity: "ticket",
    expression: `${originReads} / sum by (read) (rate(shop_cache_reads_total[<5m>])) > 0.5 and ${originReads} > ${minimumOriginReads}`,
    heldFor: "10m",
    summary: "{{ $value | humanizePercentage }} of the reads of {{ $labels.read }} go to the database",
  },
  {
    alert: "ConnectionsRefused",
    severity: "ticket",
    expression: "sum by (limit) (rate(shop_connections_refused_total[<5m>])) > 0",
    heldFor: "5m",
    summary: "connections are refused by the limit {{ $labels.limit }}",
  },
  {
    alert: "BuffersFull",
    severity: "ticket",
    expression: "sum by (what) (rate(shop_bytes_refused_total[<5m>])) > 0",
    heldFor: "5m",
    summary: "{{ $labels.what }}s are refused because the buffer budget is used up",
  },
];
