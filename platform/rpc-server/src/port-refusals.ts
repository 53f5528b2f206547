import { Code, ConnectError } from "@connectrpc/connect";
import type { Refusals } from "@shop/http-port";
import { errorResponse, withHttpStatus } from "@shop/rest";
import { alwaysSent } from "./plugins/security-headers.ts";
import { isRpc, writeMethodNotAllowed, writeProtocolError } from "./protocols/protocol-error.ts";

const codes: Readonly<Record<number, Code>> = {
  408: Code.DeadlineExceeded,
  431: Code.ResourceExhausted,
  501: Code.Unimplemented,
};

/** Encodes the port's refusals like every other error: in the protocol of the request, or as REST. */
export const portRefusals: Refusals = {
  refuse(request, response, message, headers) {
    const defaultHeaders = { ...alwaysSent, ...headers };
    // No RPC protocol uses DELETE; each answers 405.
    if (request.method === "DELETE" && isRpc(request))
      writeMethodNotAllowed(request, response, ["POST"], defaultHeaders);
    else writeProtocolError(request, response, new ConnectError(message, Code.InvalidArgument), defaultHeaders);
  },
  unreadable(status, message) {
    const error = new ConnectError(message, codes[status] ?? Code.InvalidArgument);
    const { headers, body } = errorResponse(withHttpStatus(error, status));
    return { headers: { ...alwaysSent, ...headers }, body };
  },
};
