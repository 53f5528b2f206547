import { ConnectError } from "@connectrpc/connect";
import type { DomainError } from "@shop/core";
import { isDependencyLost } from "@shop/messaging";

/**
 * Waits for inventory's response to `what`. Throws the error that `lost` returns when inventory is unreachable, and a plain Error,
 * which callers see as internal, when inventory refuses the call.
 */
export async function callInventory<Answer>(
  call: Promise<Answer>,
  what: string,
  lost: (cause: unknown) => DomainError,
): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (isDependencyLost(error)) throw lost(error);
    // Any other refusal is this service's mistake, not its caller's, so inventory's code is not passed on.
    throw new Error(`inventory refused ${what}`, { cause: ConnectError.from(error) });
  }
}
