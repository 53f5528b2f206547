import { isIP, type Socket } from "node:net";
import {
  type AnyRequest,
  clientAddressHeader,
  clientOf,
  forwardingCredentialHeader,
  peerOf,
  type TrustsProxy,
} from "@shop/http-port";
import { securityHeaders } from "../plugins/security-headers.ts";

/**
 * Sets the client address in the request's headers; call it once per request. Returns the headers that every answer to the
 * request has.
 */
export type IdentifyClient = (
  request: Pick<AnyRequest, "headers"> & { readonly socket: Pick<Socket, "remoteAddress"> },
) => Readonly<Record<string, string>>;

const nothing = {};

/**
 * On a public port the client is the peer, or the address reported by trusted proxies. On an internal port it is the address in
 * a request of a trusted forwarder, or else the peer.
 */
export function createIdentifyClient(port: {
  readonly isPublic: boolean;
  readonly trustsProxy: TrustsProxy;
  readonly trustsForwarder: (credential: string) => boolean;
}): IdentifyClient {
  if (!port.isPublic) {
    return ({ headers, socket }) => {
      const { [clientAddressHeader]: reported, [forwardingCredentialHeader]: credential } = headers;
      const isTrusted =
        credential !== undefined && isIP(String(reported)) !== 0 && port.trustsForwarder(String(credential));
      if (!isTrusted) headers[clientAddressHeader] = peerOf(socket);
      return nothing;
    };
  }
  return (request) => {
    const { address, isHttps } = clientOf(request, port.trustsProxy);
    request.headers[clientAddressHeader] = address;
    return securityHeaders(isHttps);
  };
}
