import type { DescService } from "@bufbuild/protobuf";
import { readmeExample } from "@shop/http-port/testing/readme-example";
import { testService } from "@shop/rest/testing/descriptors";
import { expect, test } from "vitest";

test("the README's example describes the routes of a service", async () => {
  type Example = { describe(service: DescService): unknown };
  const { describe } = await readmeExample<Example>("@shop/openapi", import.meta.dirname, "./document.ts");
  expect(describe(testService("library.v1.LibraryService"))).toMatchObject({
    openapi: "3.1.1",
    info: { title: "LibraryService" },
    paths: expect.objectContaining({ "/v1/search": expect.anything() }),
  });
});
