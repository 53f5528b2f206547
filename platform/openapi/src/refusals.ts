import { type DescMethod, getOption, type JsonObject } from "@bufbuild/protobuf";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { reasons as reasonsOption } from "@shop/gen/shop/common/v1/reasons_pb";
import type { RestRoute } from "@shop/rest";

/** The description of an error reason. */
export interface Reason {
  /** Its HTTP status. */
  readonly status: number;
  readonly when: string;
}

const everyCall = ["INVALID_FIELDS", "DEPENDENCY_UNAVAILABLE", "SERVICE_UNREACHABLE"];
/** Further reasons of requests with a body. */
const withBody = ["BUFFERS_FULL"];
const signedIn = [...everyCall, "ACCESS_TOKEN_MISSING", "ACCESS_TOKEN_INVALID", "TOKEN_KEYS_UNAVAILABLE"];

/** The reasons that the platform adds to every method, by access rule. */
const reasonsOfRule: Readonly<Partial<Record<Access, readonly string[]>>> = {
  [Access.PUBLIC]: everyCall,
  [Access.AUTHENTICATED]: signedIn,
  [Access.ADMIN]: [...signedIn, "ADMIN_REQUIRED"],
};

/** The meaning of each status, and when it has no reason (docs/errors.md). */
const meanings: Readonly<Record<number, { readonly title: string; readonly bare?: string }>> = {
  400: {
    title: "Invalid request",
    bare: "The request is malformed, or violates a rule.",
  },
  401: { title: "Unauthenticated" },
  403: { title: "Permission denied" },
  404: { title: "Not found" },
  409: { title: "Conflict" },
  412: { title: "Changed since it was read", bare: "A conflict, for a request with `If-Match`." },
  413: { title: "Too large", bare: "The body is too large." },
  415: { title: "Not JSON", bare: "The body is not JSON, or in an encoding that is not supported." },
  429: { title: "Too many requests" },
  500: { title: "Internal error", bare: "A failure of the server. Its log has the cause." },
  503: { title: "Temporarily unavailable" },
  504: { title: "Deadline exceeded", bare: "The deadline of the request has passed." },
};

/** Statuses after which the same request may succeed later. */
const maySucceedLater = [409, 429, 503];

/** The error responses of a route, by status, each with its reasons. */
export function refusals(route: RestRoute, known: ReadonlyMap<string, Reason>): Map<number, JsonObject> {
  const names = [...reasonsOf(route.method), ...(route.body.kind === "none" ? [] : withBody)];
  const reasons = names.map((name) => {
    const reason = known.get(name);
    if (reason === undefined) throw new Error(`${route.method.toString()}: unknown reason ${name}`);
    return { name, ...reason };
  });
  const byStatus = Map.groupBy(reasons, ({ status }) => status);
  const always = [
    ...(route.etag === undefined ? [] : [412]),
    ...(route.body.kind === "none" ? [] : [413, 415]),
    ...[500, 504],
  ];
  const statuses = [...new Set([...byStatus.keys(), ...always])].toSorted((a, b) => a - b);
  return new Map(
    statuses.map((status) => {
      const own = byStatus.get(status);
      return [
        status,
        own === undefined ? { $ref: `#/components/responses/${sharedNames[status]}` } : refusal(status, own),
      ];
    }),
  );
}

/** The responses that do not depend on the method. */
export const sharedRefusals = (): JsonObject => ({
  ConditionFailed: refusal(412, []),
  TooLarge: refusal(413, []),
  NotJson: refusal(415, []),
  InternalError: refusal(500, []),
  TooLate: refusal(504, []),
});

const sharedNames: Readonly<Record<number, keyof ReturnType<typeof sharedRefusals>>> = {
  412: "ConditionFailed",
  413: "TooLarge",
  415: "NotJson",
  500: "InternalError",
  504: "TooLate",
};

function reasonsOf(method: DescMethod): readonly string[] {
  return [...(reasonsOfRule[getOption(method, access)] ?? []), ...getOption(method, reasonsOption)];
}

function refusal(status: number, reasons: readonly (Reason & { name: string })[]): JsonObject {
  const { title, bare } = meanings[status] ?? { title: "Refused" };
  const lines = reasons.map(({ name, when }) => `- \`${name}\`: ${when}`);
  if (bare !== undefined) lines.push(lines.length === 0 ? bare : `- Without a reason: ${bare}`);
  const reason = { enum: reasons.map(({ name }) => name) };
  const anyStatus = { $ref: "#/components/schemas/Status" };
  const schema =
    reasons.length === 0
      ? anyStatus
      : { allOf: [anyStatus, { properties: { details: { items: { properties: { reason } } } } }] };
  return {
    description: `${title}.\n\n${lines.join("\n")}`,
    ...headersOf(status),
    content: { "application/json": { schema } },
  };
}

function headersOf(status: number): { headers?: JsonObject } {
  const headers: JsonObject = {
    ...(maySucceedLater.includes(status) && { "Retry-After": { $ref: "#/components/headers/RetryAfter" } }),
    ...(status === 401 && { "WWW-Authenticate": { $ref: "#/components/headers/WwwAuthenticate" } }),
  };
  return Object.keys(headers).length === 0 ? {} : { headers };
}

/** Descriptions of the headers of errors. */
export const refusalHeaders: JsonObject = {
  RetryAfter: {
    description:
      "Seconds after which the same request may succeed. Without it, a retry most likely gets the same answer.",
    schema: { type: "integer", minimum: 0 },
  },
  WwwAuthenticate: {
    description: "How to authenticate (RFC 6750).",
    schema: { type: "string" },
    required: true,
  },
};

const detail = (type: string, description: string, properties: JsonObject): JsonObject => ({
  type: "object",
  description,
  properties: { "@type": { type: "string", const: `type.googleapis.com/google.rpc.${type}` }, ...properties },
  required: ["@type", ...Object.keys(properties).filter((name) => name === "reason" || name === "domain")],
});

const text: JsonObject = { type: "string" };

/** google.rpc.Status in JSON, with the details used here. */
export const statusSchema: JsonObject = {
  type: "object",
  description: "Why a request failed: [google.rpc.Status](https://google.aip.dev/193).",
  properties: {
    code: { type: "integer", description: "The gRPC status code.", minimum: 1, maximum: 16 },
    message: { type: "string", description: "The error for people; it may change." },
    details: {
      type: "array",
      description: "The error for programs.",
      items: {
        oneOf: [
          detail("ErrorInfo", "The reason, for programs.", {
            reason: { ...text, description: "Stable: see the reasons of each response." },
            domain: { ...text, description: "The proto package that defines the reason." },
            metadata: { type: "object", additionalProperties: text, description: "Facts about the reason." },
          }),
          detail("BadRequest", "The invalid fields.", {
            field_violations: {
              type: "array",
              items: {
                type: "object",
                properties: {
                  field: {
                    ...text,
                    description:
                      "The path of the field, such as `items[2].product_id`; absent if the body as a whole is invalid.",
                  },
                  description: { ...text, description: "Why it is invalid." },
                  reason: { ...text, description: "The violated rule." },
                },
                required: ["description"],
              },
            },
          }),
          detail("RetryInfo", "When to retry.", {
            retry_delay: { ...text, description: "Such as `1.500s`." },
          }),
        ],
      },
    },
  },
  required: ["code", "message", "details"],
};
