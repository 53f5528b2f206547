import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";

/** The error of a call. */
export interface Refusal {
  /** The name of the code, such as "NotFound"; "answered" when the call was not refused. */
  readonly code: string;
  /** ErrorInfo.reason; empty without an ErrorInfo. */
  readonly reason: string;
  /** The fields that BadRequest names. */
  readonly violations: readonly string[];
}

/** The error of a generated client's call that is expected to fail. */
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
