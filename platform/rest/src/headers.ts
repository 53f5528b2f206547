/** Response headers as node:http takes them: lower-case names, several values as an array. */
export type RestHeaders = Record<string, string | string[]>;

// Headers of one connection or one encoding must not be copied to another: `connection` from an upstream's answer, set on an
// HTTP/2 response, throws outside of any handler.
const notForwarded =
  /^(:|connection$|keep-alive$|proxy-|te$|trailer$|transfer-encoding$|upgrade$|host$|expect$|http2-settings$|content-(length|type|encoding)$|accept-encoding$|grpc-(status|message|encoding|accept-encoding|timeout|status-details-bin)$|connect-(protocol-version|timeout-ms|content-encoding|accept-encoding)$)/;

/** Whether a header is valid on both sides of the transcoder: not one about the connection, the protocol or the encoding. */
export function isForwarded(name: string): boolean {
  return !notForwarded.test(name);
}

/** Adds the headers that may be forwarded; repeated values stay separate, as Set-Cookie requires. */
export function addHeaders(target: RestHeaders, source: Headers | undefined, prefix = ""): void {
  if (source === undefined) return;
  for (const [name, value] of source) {
    if (!isForwarded(name)) continue;
    const key = prefix + name;
    const previous = target[key];
    target[key] = previous === undefined ? value : [previous, value].flat();
  }
}
