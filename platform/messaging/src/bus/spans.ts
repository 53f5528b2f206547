import { SpanKind, type SpanOptions } from "@shop/core";

/** The span of publishing an event, or a batch of them. */
export function sendSpan({ type, id, batch }: { readonly type: string; readonly id: string; readonly batch?: number }) {
  return { kind: SpanKind.PRODUCER, attributes: messagingAttributes("send", type, id, batch) } satisfies SpanOptions;
}

/** The span of handling events. `id` is that of the only one. */
export function processSpan(type: string, consumer: string, events: number, id: string | undefined) {
  const attributes = messagingAttributes("process", type, id, events);
  return {
    kind: SpanKind.CONSUMER,
    attributes: { ...attributes, "messaging.consumer.group.name": consumer },
  } satisfies SpanOptions;
}

/** OpenTelemetry's conventions for messaging, which are not stable yet. */
function messagingAttributes(operation: "send" | "process", type: string, id: string | undefined, events = 1) {
  return {
    "messaging.system.name": "nats",
    "messaging.destination.name": type,
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
    ...(events > 1 && { "messaging.batch.message_count": events }),
    ...(id !== undefined && { "messaging.message.id": id }),
  };
}
