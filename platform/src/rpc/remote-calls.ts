import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { internalCredentialHeader } from "../auth/internal-credential.ts";
import type { Logger } from "../log.ts";
import type { Authorize } from "./access.ts";
import { type AddressSeal, clientAddressHeader } from "./client-address.ts";
import type { Neighbour } from "./clients.ts";
import { toConnectError } from "./errors.ts";
import { createForwarder } from "./forward.ts";
import { type AnyRequest, type AnyResponse, writeProtocolError } from "./protocol-error.ts";
import { toHeaders } from "./rest/node-handler.ts";

/** Calls to services that are hosted elsewhere. */
export interface RemoteCalls {
  /** Lets the call through the gate, then carries it over as bytes. Never rejects. */
  call(method: DescMethod, request: AnyRequest, response: AnyResponse): Promise<void>;
  close(): void;
}

export function createRemoteCalls(options: {
  readonly services: readonly DescService[];
  readonly neighbours: readonly Neighbour[];
  readonly authorize: Authorize;
  readonly addressSeal: AddressSeal;
  readonly stopping: AbortSignal;
  readonly log: Logger;
}): RemoteCalls {
  const exposed = new Set(options.services.map((service) => service.typeName));
  const forwarder = createForwarder({
    upstreams: Object.fromEntries(
      options.neighbours
        .filter(({ service }) => exposed.has(service.typeName))
        .map(({ service, urls }) => [service.typeName, urls]),
    ),
    // Nobody outside is a part of the platform, whatever they say.
    dropRequestHeaders: [internalCredentialHeader],
    onFailure: ({ replica, error }) => options.log.warn({ replica, err: error }, "a replica did not answer"),
  });
  return {
    async call(method, request, response) {
      const upstream = forwarder.upstreams[method.parent.typeName];
      try {
        if (upstream === undefined) throw new Error(`nothing says where ${method.parent.typeName} is`);
        await options.authorize(method, toHeaders(request));
      } catch (error) {
        writeProtocolError(request, response, toConnectError(error, method.parent.file.proto.package));
        return;
      }
      const isStream = method.methodKind !== "unary";
      await forwarder.forward(request, response, upstream, {
        setRequestHeaders: {
          [clientAddressHeader]: options.addressSeal.seal(String(request.headers[clientAddressHeader])),
        },
        ...(isStream && { stop: options.stopping }),
      });
    },
    close: () => forwarder.close(),
  };
}
