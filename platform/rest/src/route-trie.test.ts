import { describe, expect, it } from "vitest";
import { httpRule } from "./route.ts";
import { createRestRoutes } from "./route-trie.ts";
import { blankRoutes, lookUp } from "./testdata/blank-routes.ts";
import { testService } from "./testdata/descriptors.ts";

const blank = testService("spec.v1.Blank");

describe("match", () => {
  it("prefers a literal to * to **, and backtracks if the literal does not match to the end", () => {
    const routes = blankRoutes("GET /a/**", "GET /a/*", "GET /a/b", "GET /a/b/{x}/d", "GET /a/{y}/c/e");
    expect(lookUp(routes, "GET /a/b")).toBe("/a/b");
    expect(lookUp(routes, "GET /a/c")).toBe("/a/*");
    expect(lookUp(routes, "GET /a/c/d")).toBe("/a/**");
    expect(lookUp(routes, "GET /a/b/c/d")).toBe("/a/b/{x}/d x=c");
    expect(lookUp(routes, "GET /a/b/c/e")).toBe("/a/{y}/c/e y=b");
    expect(lookUp(routes, "GET /a/b/c/f")).toBe("/a/**");
    expect(lookUp(routes, "GET /a")).toBe("/a/**");
  });

  it("never matches an empty segment", () => {
    const routes = blankRoutes("GET /a/{x}", "GET /b/{name=**}", "GET /");
    for (const path of ["/a/", "/a//", "//a", "/a//b", "/b//", "/b/c/", "/b//c", "//", ""])
      expect(lookUp(routes, `GET ${path}`)).toBe("404");
    expect(lookUp(routes, "GET /")).toBe("/");
    expect(lookUp(routes, "GET /b")).toBe("/b/{name=**} name=");
  });

  it("answers 405 with the methods of every template that matches, and HEAD with GET", () => {
    const routes = blankRoutes("GET /a/{x}", "POST /a/{x}", "DELETE /a/b", "PUT /*/b");
    expect(lookUp(routes, "PATCH /a/b")).toBe("405 DELETE,GET,HEAD,POST,PUT");
    expect(lookUp(routes, "PATCH /a/c")).toBe("405 GET,HEAD,POST");
    expect(lookUp(routes, "GET /a/b")).toBe("/a/{x} x=b");
    expect(lookUp(routes, "DELETE /a/b")).toBe("/a/b");
    expect(lookUp(routes, "PATCH /nowhere")).toBe("404");
  });

  it("answers HEAD by GET, unless a route for HEAD exists", () => {
    const routes = blankRoutes("GET /a", "GET /b", "HEAD /b", "POST /c");
    expect(routes.match("HEAD", "/a")).toMatchObject({ kind: "match", route: { httpMethod: "GET" } });
    expect(routes.match("HEAD", "/b")).toMatchObject({ kind: "match", route: { httpMethod: "HEAD" } });
    expect(lookUp(routes, "HEAD /c")).toBe("405 POST");
  });

  it("routes methods that no other route of the path has to the custom method *", () => {
    const routes = blankRoutes("* /a/{x}", "GET /a/{y}");
    expect(lookUp(routes, "GET /a/1")).toBe("/a/{y} y=1");
    expect(lookUp(routes, "PURGE /a/1")).toBe("/a/{x} x=1");
  });

  it("treats a known verb as text only if its template does not match the path, for any HTTP method", () => {
    const routes = blankRoutes("GET /a/{x}:v", "GET /b/{y}", "POST /c/{x}:v", "GET /c/{y}", "GET /{name=**}:w");
    expect(lookUp(routes, "GET /b/1:v")).toBe("/b/{y} y=1:v");
    expect(lookUp(routes, "POST /c/1:v")).toBe("/c/{x}:v x=1");
    expect(lookUp(routes, "GET /c/1:v")).toBe("405 POST");
    expect(lookUp(routes, "GET /c/1%3Av")).toBe("/c/{y} y=1%3Av");
    expect(lookUp(routes, "POST /c/1:w")).toBe("405 GET,HEAD");
    expect(lookUp(routes, "GET /:w")).toBe("404");
    expect(lookUp(routes, "GET /a/1:2:v")).toBe("/a/{x}:v x=1:2");
  });

  it("tolerates paths that do not decode", () => {
    const routes = blankRoutes("GET /a/{x}", "GET /b/{y}:verb");
    for (const path of ["/a/%", "/a/%zz", "/a/%ff", "/%/x", "/b/x:%", "/a/%C3%28"]) {
      expect(["404", `/a/{x} x=${path.slice(3)}`]).toContain(lookUp(routes, `GET ${path}`));
    }
  });

  it("treats __proto__ and constructor as ordinary text", () => {
    const routes = blankRoutes("GET /a");
    for (const path of ["/__proto__", "/constructor", "/a:constructor", "/a/__proto__"])
      expect(lookUp(routes, `GET ${path}`)).toBe("404");
    expect(lookUp(routes, "constructor /a")).toBe("405 GET,HEAD");
  });

  it("takes time linear in the path, bounded by the depth of the templates", () => {
    const routes = blankRoutes(
      "GET /{x=**}:verb",
      "GET /*/*/*/*/*/*/*/*/a",
      "GET /a/*/a/*/a/*/a/*/b",
      "GET /*/a/*/a/*/a/*/a/c",
      "GET /a/a/a/a/a/a/a/a/d",
    );
    // The best of several, since a busy machine may suspend the process for longer than this takes.
    const timed = (path: string): number => {
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 8; i++) {
        const start = performance.now();
        routes.match("GET", path);
        best = Math.min(best, performance.now() - start);
      }
      return best;
    };
    for (const unit of ["/", "/a", "/%2F", "/%", "/%zz", "/a%ff", "/:", "/a:verb"]) {
      timed(unit.repeat(10_000));
      const once = timed(unit.repeat(10_000));
      const tenfold = timed(unit.repeat(100_000));
      // A quadratic matcher takes 100 times as long, or minutes.
      expect(tenfold).toBeLessThan(Math.max(once * 40, 200));
    }
  });
});

describe("createRestRoutes", () => {
  const refuse = (init: Parameters<typeof httpRule>[0], problem: string) =>
    expect(() => createRestRoutes([blank], [httpRule({ selector: "spec.v1.Blank.M3", ...init })])).toThrow(
      `google.api.http of spec.v1.Blank.M3: ${problem}`,
    );

  it("refuses two bindings of one method and path, whatever the names of their variables", () => {
    expect(() => blankRoutes("GET /a/{x}", "POST /a/{x}", "GET /a/{name=*}")).toThrow(
      "google.api.http: GET /a/{name=*} of spec.v1.Blank.M2 is the same route as GET /a/{x} of spec.v1.Blank.M0",
    );
    expect(() => blankRoutes("GET /a/**:v", "GET /a/{x=**}:v")).toThrow("is the same route as");
    expect(() => blankRoutes("GET /a/{x}:v", "GET /a/{x}:w", "GET /a/{x}", "GET /a/x:v")).not.toThrow();
  });

  it("refuses invalid rules, naming the method", () => {
    const get = (value: string) => ({ pattern: { case: "get", value } }) as const;
    const post = (value: string) => ({ pattern: { case: "post", value } }) as const;
    refuse({}, "the rule has no HTTP method and path");
    refuse(get("/a/{"), 'path template "/a/{": expected a field name at position 5');
    refuse(get("/a/{missing}"), "the path binds missing, which spec.v1.Names does not have");
    refuse(get("/a/{name.first}"), "the path binds name.first, which spec.v1.Names does not have");
    refuse(get("/a/{child}"), "the path binds child, which is not a single scalar or enum");
    refuse(get("/a/{list}"), "the path binds list, which is not a single scalar or enum");
    refuse(get("/a/{map}"), "the path binds map, which is not a single scalar or enum");
    refuse({ ...get("/a"), body: "*" }, "GET /a cannot have a body");
    refuse({ ...post("/a"), body: "missing" }, "the body is missing, which is not a field of spec.v1.Names");
    refuse({ ...post("/a"), body: "child.id" }, "the body is child.id, which is not a field");
    refuse({ ...post("/{id}"), body: "id" }, "the field id is bound both by the path and by the body");
    refuse({ ...get("/a"), responseBody: "nope" }, "the response_body is nope, which is not a field");
    refuse(
      { ...get("/a"), additionalBindings: [{ ...get("/b"), additionalBindings: [get("/c")] }] },
      "additional_bindings must not have additional_bindings themselves",
    );
    refuse({ pattern: { case: "custom", value: { kind: "get", path: "/a" } } }, '"get" is not an HTTP method');
  });

  it("uses the last rule of a service configuration that selects a method", () => {
    const rule = (selector: string, path: string) => httpRule({ selector, pattern: { case: "get", value: path } });
    const routes = createRestRoutes(
      [testService("spec.v1.Messaging")],
      [
        rule("spec.v1.Messaging.GetByName", "/first"),
        rule("spec.v1.Messaging.GetByName", "/last"),
        rule("spec.v1.Messaging.Configured", "/configured/{message_id}"),
        rule("spec.v1.Other.*", "/other"),
      ],
    );
    expect(lookUp(routes, "GET /last")).toBe("/last");
    expect(lookUp(routes, "GET /first")).toBe("404");
    expect(lookUp(routes, "GET /name/v1/messages/1")).toBe("404");
    expect(lookUp(routes, "GET /configured/1")).toBe("/configured/{message_id} message_id=1");
    expect(lookUp(routes, "GET /query/v1/messages/1")).toBe("/query/v1/messages/{message_id} message_id=1");
  });
});
