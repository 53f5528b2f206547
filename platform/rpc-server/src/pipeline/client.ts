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

/** Writes into the headers of a request, once, which client it comes from; returns the headers that every answer to it has. */
export type NoteClient = (
  request: Pick<AnyRequest, "headers"> & { readonly socket: Pick<Socket, "remoteAddress"> },
) => Readonly<Record<string, string>>;

const nothing = {};

export function createNoteClient(port: {
  readonly isPublic: boolean;
  readonly trustsProxy: TrustsProxy;
  readonly trustsForwarder: (credential: string) => boolean;
}): NoteClient {
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
