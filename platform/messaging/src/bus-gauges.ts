import type { GaugeSource } from "@shop/core";
import type { Bus } from "./bus/bus.ts";
import type { EventHandler } from "./bus/consumer.ts";
import { deadLetterStream } from "./bus/dead-letters.ts";

const labelNames = ["consumer"] as const;
const pending = {
  name: "shop_consumer_pending_messages",
  help: "Events in the stream that have not been delivered to this consumer",
  labelNames,
};
const unacknowledged = {
  name: "shop_consumer_unacknowledged_messages",
  help: "Events delivered to this consumer and not acknowledged",
  labelNames,
};
const redelivered = {
  name: "shop_consumer_redelivered_messages",
  help: "Of the unacknowledged events, those that were delivered more than once",
  labelNames,
};
const deadLetters = {
  name: "shop_dead_letters",
  help: "Events that this consumer could not handle, and that were not redriven or deleted",
  labelNames,
};

/** Measures the lag and the dead letters of this process's consumers. */
export function busGauges(bus: Bus, handlers: readonly EventHandler[]): GaugeSource {
  async function lagOf({ stream, durable }: EventHandler) {
    const { num_pending, num_ack_pending, num_redelivered } = await bus.manager.consumers.info(stream, durable);
    const labels = { consumer: durable };
    return [
      { gauge: pending, labels, value: num_pending },
      { gauge: unacknowledged, labels, value: num_ack_pending },
      { gauge: redelivered, labels, value: num_redelivered },
    ];
  }

  async function givenUp() {
    const { state } = await bus.manager.streams.info(deadLetterStream, { subjects_filter: `${deadLetterStream}.>` });
    return handlers.map(({ durable }) => ({
      gauge: deadLetters,
      labels: { consumer: durable },
      value: state.subjects?.[`${deadLetterStream}.${durable}`] ?? 0,
    }));
  }

  return {
    dependency: "nats",
    async read() {
      if (!bus.isConnected()) throw new Error("NATS is disconnected");
      return (await Promise.all([...handlers.map(lagOf), givenUp()])).flat();
    },
  };
}
