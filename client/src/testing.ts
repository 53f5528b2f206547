import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { services } from "./services.ts";

/** Handlers of the methods that a test uses. */
export type Answers = {
  readonly [Name in keyof typeof services]?: Partial<ServiceImpl<(typeof services)[Name]>>;
};

/** A transport to these handlers; other methods are UNIMPLEMENTED. */
export function transportTo(answers: Readonly<Record<string, object>> & Answers) {
  return createRouterTransport((router) => {
    for (const [name, service] of Object.entries<DescService>(services)) router.service(service, answers[name] ?? {});
  });
}

/** An error as the shop sends it. */
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

/** The error of a call that is expected to fail. */
export async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw new Error(`expected a ConnectError, got ${error}`);
  return error;
}
