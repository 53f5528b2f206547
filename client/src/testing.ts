import { Code, ConnectError, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";

/** What of the three services a test has an answer for. */
export interface Answers {
  readonly users?: Partial<ServiceImpl<typeof UserService>>;
  readonly inventory?: Partial<ServiceImpl<typeof InventoryService>>;
  readonly orders?: Partial<ServiceImpl<typeof OrderService>>;
}

/** A transport to services that answer so, and UNIMPLEMENTED to the rest. */
export function transportTo({ users = {}, inventory = {}, orders = {} }: Answers) {
  return createRouterTransport((router) => {
    router.service(UserService, users);
    router.service(InventoryService, inventory);
    router.service(OrderService, orders);
  });
}

/** What the shop refuses with. */
export function refusal(code: Code, reason: string, retryAfterMs?: number): ConnectError {
  const retryInfo = {
    desc: RetryInfoSchema,
    value: { retryDelay: { seconds: 0n, nanos: (retryAfterMs ?? 0) * 1_000_000 } },
  };
  return new ConnectError(reason, code, undefined, [
    { desc: ErrorInfoSchema, value: { reason } },
    ...(retryAfterMs === undefined ? [] : [retryInfo]),
  ]);
}

export const unavailable = () => refusal(Code.Unavailable, "DEPENDENCY_UNAVAILABLE", 5);

/** What a call that fails throws. */
export async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw new Error(`it threw no ConnectError: ${error}`);
  return error;
}
