import { expect, test } from "vitest";
import { publishedManifest } from "./published-manifest.ts";

const workspace = {
  name: "@shop/wheel",
  description: "Turns.",
  version: "0.0.1",
  private: true,
  type: "module",
  sideEffects: false,
  engines: { node: ">=20" },
  exports: {
    ".": "./src/index.ts",
    "./testing/spokes": "./src/testing/spokes.ts",
    "./table.json": "./table.json",
    "./parts/*": "./src/parts/*.ts",
  },
  scripts: { check: "true" },
  dependencies: { "@bufbuild/protobuf": "2.17.0", "@shop/hub": "0.0.1" },
  publishConfig: { access: "public" },
};
const root = { version: "1.2.3", license: "Apache-2.0" };
const published = new Set(["@shop/wheel", "@shop/hub"]);

test("a workspace is published with exports of JavaScript and declarations, exact versions of ours, and ranges of others", () => {
  expect(publishedManifest(workspace, root, published)).toEqual({
    name: "@shop/wheel",
    version: "1.2.3",
    description: "Turns.",
    license: "Apache-2.0",
    type: "module",
    sideEffects: false,
    engines: { node: ">=20" },
    exports: {
      ".": { types: "./dist/index.d.ts", default: "./dist/index.js" },
      "./table.json": "./table.json",
      "./parts/*": { types: "./dist/parts/*.d.ts", default: "./dist/parts/*.js" },
    },
    files: ["dist", "./table.json"],
    dependencies: { "@bufbuild/protobuf": "^2.17.0", "@shop/hub": "1.2.3" },
    publishConfig: { access: "public" },
  });
});

test("a workspace that depends on an unpublished one can't be published", () => {
  expect(() => publishedManifest(workspace, root, new Set(["@shop/wheel"]))).toThrow(
    "@shop/wheel needs @shop/hub, which is not published",
  );
});
