import type { Forwarding } from "../forwarding.ts";
import type { Protocol } from "./protocol.ts";

/**
 * Forwards calls of methods that another process hosts, in the protocol that the caller used. Does not take REST if the
 * upstream does not speak it, and of bare HTTP/2 streams takes only unary calls.
 */
export function forwardedCalls(forwarding: Forwarding): Protocol {
  return {
    takes({ method, rest, isHosted }, { method: httpMethod, source }) {
      if (isHosted) return false;
      if (source !== "stream") return rest === undefined || forwarding.carries(method, true);
      return (
        method.methodKind === "unary" &&
        (rest !== undefined || httpMethod === "POST") &&
        forwarding.carries(method, rest !== undefined)
      );
    },
    answer: ({ method }, exchange) => forwarding.call(method, exchange),
  };
}
