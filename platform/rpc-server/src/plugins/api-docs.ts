import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { FastifyInstance } from "fastify";

const require = createRequire(import.meta.url);

interface Page {
  readonly path: string;
  readonly contentType: string;
  readonly content: Uint8Array;
}

/** What a browser may do on the pages of the documentation: run what comes from here, and call what is here. */
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
 * Serves a description of the port, `GET /openapi.json`, and a page to read it and to try it out, `GET /docs`. Everything comes
 * from files that are read once, and is kept by browsers as long as it does not change. A browser that asks for `/` is led to
 * the page; for anything else there is nothing at `/`.
 */
export function addApiDocs(app: FastifyInstance, openApi: Uint8Array): void {
  // No route: for other clients it is a path like any other that is not there.
  app.addHook("onRequest", async (request, reply) => {
    const isPage = /^(GET|HEAD)$/.test(request.method) && /\btext\/html\b/i.test(request.headers.accept ?? "");
    if (isPage && /^\/(\?|$)/.test(request.url)) return reply.redirect("/docs", 302);
  });
  serve(app, { path: "/openapi.json", contentType: "application/json", content: openApi }, {});
  for (const page of pages()) serve(app, page, { "content-security-policy": pagePolicy });
}

function serve(app: FastifyInstance, { path, contentType, content }: Page, headers: Record<string, string>): void {
  const etag = `"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`;
  app.get(path, (request, reply) => {
    reply.headers({ ...headers, "cache-control": "no-cache", etag });
    const known = request.headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
    if (known?.includes(etag) || known?.includes("*")) return reply.code(304).send();
    return reply.type(contentType).send(content);
  });
}

/** Swagger UI, out of the package that Fastify keeps it in, and what starts it. */
function pages(): Page[] {
  const own = join(import.meta.dirname, "api-docs");
  const swaggerUi = join(dirname(require.resolve("@fastify/swagger-ui")), "static");
  const page = (path: string, contentType: string, folder: string, file: string): Page => ({
    path,
    contentType: `${contentType}; charset=utf-8`,
    content: readFileSync(join(folder, file)),
  });
  return [
    page("/docs", "text/html", own, "page.html"),
    page("/docs/page.js", "text/javascript", own, "page.js"),
    page("/docs/swagger-ui.css", "text/css", swaggerUi, "swagger-ui.css"),
    page("/docs/swagger-ui.js", "text/javascript", swaggerUi, "swagger-ui-bundle.js"),
  ];
}
