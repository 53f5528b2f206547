/** Response headers as node:http takes them: lower-case names, several values as an array. */
export type RestHeaders = Record<string, string | string[]>;

// What belongs to one connection or to one encoding of a message must not travel into the next: `connection` from
// an upstream's answer, put on an HTTP/2 response, throws outside of any handler.
const notForwarded =
  /^(:|connection$|keep-alive$|proxy-|te$|trailer$|transfer-encoding$|upgrade$|host$|expect$|http2-settings$|content-(length|type|encoding)$|accept-encoding$|grpc-(status|message|encoding|accept-encoding|timeout|status-details-bin)$|connect-(protocol-version|timeout-ms|content-encoding|accept-encoding)$)/;

/** Whether a header means the same on the other side of the transcoder: not about the connection, the protocol or the encoding. */
export function isForwarded(name: string): boolean {
  return !notForwarded.test(name);
}

/** Adds the headers that may be passed on; several values of a name stay apart, as Set-Cookie needs. */
export function addHeaders(target: RestHeaders, source: Headers | undefined, prefix = ""): void {
  if (source === undefined) return;
  for (const [name, value] of source) {
    if (!isForwarded(name)) continue;
    const key = prefix + name;
    const previous = target[key];
    target[key] = previous === undefined ? value : [previous, value].flat();
  }
}
