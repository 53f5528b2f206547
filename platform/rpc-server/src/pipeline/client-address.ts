import { isIP, type Socket } from "node:net";
import { beginTrace } from "@shop/core";
import {
  type AnyRequest,
  clientAddressHeader,
  clientOf,
  forwardingCredentialHeader,
  peerOf,
  type TrustsProxy,
} from "@shop/http-port";
import { securityHeaders } from "../plugins/security-headers.ts";

/** Notes in a request where it comes from, once; the answer is what every answer to it says in headers. */
export type Greet = (
  request: Pick<AnyRequest, "headers"> & { readonly socket: Pick<Socket, "remoteAddress"> },
) => Readonly<Record<string, string>>;

const nothing = {};

export function createGreet(port: {
  readonly isPublic: boolean;
  readonly trustsProxy: TrustsProxy;
  readonly trustsForwarder: (credential: string) => boolean;
}): Greet {
  if (!port.isPublic) {
    return ({ headers, socket }) => {
      const { [clientAddressHeader]: told, [forwardingCredentialHeader]: credential } = headers;
      const isTold = credential !== undefined && isIP(String(told)) !== 0 && port.trustsForwarder(String(credential));
      if (!isTold) headers[clientAddressHeader] = peerOf(socket);
      return nothing;
    };
  }
  return (request) => {
    const { address, isHttps } = clientOf(request, port.trustsProxy);
    beginTrace(request.headers);
    request.headers[clientAddressHeader] = address;
    return securityHeaders(isHttps);
  };
}
