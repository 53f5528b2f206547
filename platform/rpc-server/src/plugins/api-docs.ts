import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { FastifyInstance } from "fastify";

const require = createRequire(import.meta.url);

interface Page {
  readonly path: string;
  readonly contentType: string;
  read(): Uint8Array;
}

/** Content security policy of the documentation pages: run scripts of this origin, and call this origin. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  // Swagger UI's icons.
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * Serves the port's OpenAPI document at `GET /openapi.json`, and Swagger UI for it at `GET /docs`. Files are read
 * when first requested; browsers revalidate them by ETag. A browser that requests `/` is redirected to the page; other clients get 404.
 */
export function addApiDocs(app: FastifyInstance, openApi: Uint8Array): void {
  // A hook, not a route: for other clients `/` does not exist.
  app.addHook("onRequest", async (request, reply) => {
    const isPage = /^(GET|HEAD)$/.test(request.method) && /\btext\/html\b/i.test(request.headers.accept ?? "");
    if (isPage && /^\/(\?|$)/.test(request.url)) return reply.redirect("/docs", 302);
  });
  serve(app, { path: "/openapi.json", contentType: "application/json", read: () => openApi }, {});
  for (const page of pages()) serve(app, page, { "content-security-policy": pagePolicy });
}

function serve(app: FastifyInstance, { path, contentType, read }: Page, headers: Record<string, string>): void {
  let tagged: { readonly content: Uint8Array; readonly etag: string } | undefined;
  app.get(path, (request, reply) => {
    tagged ??= withTag(read());
    const { content, etag } = tagged;
    reply.headers({ ...headers, "cache-control": "no-cache", etag });
    const known = request.headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
    if (known?.includes(etag) || known?.includes("*")) return reply.code(304).send();
    return reply.type(contentType).send(content);
  });
}

function withTag(content: Uint8Array) {
  return { content, etag: `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"` };
}

/** Swagger UI, from the package that Fastify bundles it in, and our script that starts it. */
function pages(): Page[] {
  const own = join(import.meta.dirname, "api-docs");
  const swaggerUi = join(dirname(require.resolve("@fastify/swagger-ui")), "static");
  const page = (path: string, contentType: string, folder: string, file: string): Page => ({
    path,
    contentType: `${contentType}; charset=utf-8`,
    read: () => readFileSync(join(folder, file)),
  });
  return [
    page("/docs", "text/html", own, "page.html"),
    page("/docs/page.js", "text/javascript", own, "page.js"),
    page("/docs/swagger-ui.css", "text/css", swaggerUi, "swagger-ui.css"),
    page("/docs/swagger-ui.js", "text/javascript", swaggerUi, "swagger-ui-bundle.js"),
  ];
}
