import type { OutgoingHttpHeaders } from "node:http";
import { Code } from "@connectrpc/connect";
import { codeToHttpStatus, codeToString } from "@connectrpc/connect/protocol-connect";

/** Connect's name of the code of an answer, or `ok`. */
export type AnswerCode = string;

const codes = Object.values(Code).filter((code) => typeof code === "number");
/** The first code of those that share a status: 400, 409 and 500 stand for several. */
const byStatus = new Map<number, AnswerCode>([
  [413, codeToString(Code.ResourceExhausted)],
  ...codes.toReversed().map((code) => [codeToHttpStatus(code), codeToString(code)] as const),
]);
const trailersFrame = 0x80;

/**
 * The code of an answer to a unary call, for metrics. gRPC and gRPC-Web answers name it; in those of Connect and REST it follows
 * from the status, which several codes may share.
 *
 * @param body the beginning of the body
 */
export function codeOfAnswer(
  status: number,
  headers: OutgoingHttpHeaders,
  body: Buffer | undefined,
  trailers: OutgoingHttpHeaders,
): AnswerCode {
  const type = headers["content-type"];
  if (status === 200 && typeof type === "string" && type.startsWith("application/grpc")) {
    const named = trailers["grpc-status"] ?? headers["grpc-status"];
    if (named !== undefined) return codeOfGrpc(Number(named));
    // A gRPC-Web answer that begins with its trailers has no message: it is an error.
    if (body === undefined || body[0] !== trailersFrame) return "ok";
    return codeOfGrpc(Number(/grpc-status: *(\d+)/i.exec(body.toString("latin1", 5))?.[1]));
  }
  if (status < 400) return "ok";
  return byStatus.get(status) ?? codeToString(status < 500 ? Code.InvalidArgument : Code.Unknown);
}

function codeOfGrpc(code: number): AnswerCode {
  if (code === 0) return "ok";
  return codeToString(code in Code ? code : Code.Unknown);
}
