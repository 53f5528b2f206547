import { ConnectError } from "@connectrpc/connect";
import type { DomainError } from "@shop/core";
import { isDependencyLost } from "@shop/messaging";

/** Waits for inventory's answer to `what`; throws what `lost` makes of it when inventory can't be asked. */
export async function askInventory<Answer>(
  call: Promise<Answer>,
  what: string,
  lost: (cause: unknown) => DomainError,
): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (isDependencyLost(error)) throw lost(error);
    // Whatever else inventory refuses is our mistake, not our caller's: its code must not become ours.
    throw new Error(`inventory refused ${what}`, { cause: ConnectError.from(error) });
  }
}
