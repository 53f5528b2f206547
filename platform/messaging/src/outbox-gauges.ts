import type { GaugeSource } from "@shop/core";
import type { OutboxUpkeep } from "./outbox/upkeep.ts";

const labelNames = ["service"] as const;
const pending = {
  name: "shop_outbox_pending_events",
  help: "Events that are committed and not yet removed from the outbox",
  labelNames,
};
const age = {
  name: "shop_outbox_oldest_pending_age_seconds",
  help: "Age of the oldest pending event; 0 if there is none",
  labelNames,
};

/** Measures how far a service's outbox is behind. */
export function outboxGauges(service: string, outbox: Pick<OutboxUpkeep, "lag">): GaugeSource {
  return {
    dependency: "mongodb",
    async read() {
      const { pending: value, since } = await outbox.lag();
      const labels = { service };
      const seconds = since === undefined ? 0 : Math.max(0, (Date.now() - since.getTime()) / 1000);
      return [
        { gauge: pending, labels, value },
        { gauge: age, labels, value: seconds },
      ];
    },
  };
}
