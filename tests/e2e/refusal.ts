import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";

/** What a call was refused with. */
export interface Refusal {
  /** The name of the code, such as "NotFound"; "answered" when the call was not refused. */
  readonly code: string;
  /** ErrorInfo.reason; empty without an ErrorInfo. */
  readonly reason: string;
  /** The fields that BadRequest blames. */
  readonly violations: readonly string[];
}

/** Waits for a call by a generated client that ought to fail. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call;
    return { code: "answered", reason: "", violations: [] };
  } catch (reason) {
    const error = ConnectError.from(reason);
    return {
      code: Code[error.code],
      reason: error.findDetails(ErrorInfoSchema)[0]?.reason ?? "",
      violations: error
        .findDetails(BadRequestSchema)
        .flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field)),
    };
  }
}
