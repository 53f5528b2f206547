/**
 * Makes a gRPC-Web client of binary mode speak text mode: requests and responses are base64 on the wire. Chunks of
 * the request are padded individually, and those of the response decoded at any boundary, as PROTOCOL-WEB allows.
 */
export const fetchAsText: typeof fetch = async (input, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set("content-type", "application/grpc-web-text+proto");
  headers.set("accept", "application/grpc-web-text");
  const bytes = Buffer.from(init.body as Uint8Array);
  // The envelope's prefix and its message separately, so that padding is in the middle.
  const body = bytes.subarray(0, 5).toString("base64") + bytes.subarray(5).toString("base64");
  const response = await fetch(input, { ...init, headers, body });
  const type = response.headers.get("content-type") ?? "";
  if (!type.startsWith("application/grpc-web-text")) return response;
  const decoded = new Headers(response.headers);
  decoded.set("content-type", type.replace("-text", ""));
  return new Response(response.body?.pipeThrough(decodeBase64()) ?? null, {
    status: response.status,
    headers: decoded,
  });
};

function decodeBase64(): TransformStream<Uint8Array, Uint8Array> {
  let rest = "";
  return new TransformStream({
    transform(chunk, controller) {
      const text = rest + Buffer.from(chunk).toString("latin1");
      const end = text.length - (text.length % 4);
      rest = text.slice(end);
      for (let at = 0; at < end; at += 4) controller.enqueue(Buffer.from(text.slice(at, at + 4), "base64"));
    },
    flush() {
      if (rest !== "") throw new Error(`the answer ends in half of four characters of base64: ${rest}`);
    },
  });
}
