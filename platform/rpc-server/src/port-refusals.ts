import { Code, ConnectError } from "@connectrpc/connect";
import type { Refusals } from "@shop/http-port";
import { errorResponse, withHttpStatus } from "@shop/rest";
import { alwaysSaid } from "./plugins/security-headers.ts";
import { isRpc, writeMethodNotAllowed, writeProtocolError } from "./protocols/protocol-error.ts";

const codes: Readonly<Record<number, Code>> = {
  408: Code.DeadlineExceeded,
  431: Code.ResourceExhausted,
  501: Code.Unimplemented,
};

/** What the port refuses is told like every other error: in the protocol of the request, and as REST does where there is none. */
export const portRefusals: Refusals = {
  refuse(request, response, message, headers) {
    const said = { ...alwaysSaid, ...headers };
    // No RPC protocol has it, and each says of that what HTTP does.
    if (request.method === "DELETE" && isRpc(request)) writeMethodNotAllowed(request, response, ["POST"], said);
    else writeProtocolError(request, response, new ConnectError(message, Code.InvalidArgument), said);
  },
  unreadable(status, message) {
    const error = new ConnectError(message, codes[status] ?? Code.InvalidArgument);
    const { headers, body } = errorResponse(withHttpStatus(error, status));
    return { headers: { ...alwaysSaid, ...headers }, body };
  },
};
