import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { shopAccounts } from "../shop-accounts.ts";
import { operator } from "./account.ts";
import { dockerEnvironment } from "./docker-environment.ts";
import { composeFile } from "./resolve-server.ts";

const account = { mongodbPassword: "m", redisPassword: "r", natsSeed: "SU", natsPublicKey: "U" };
const credentials = {
  mongodbKey: "key",
  natsRoutePassword: "n",
  accounts: Object.fromEntries([operator, ...shopAccounts.map(({ name }) => name)].map((name) => [name, account])),
};

test("every variable that compose.yaml requires has a value, whichever accounts the servers have", () => {
  const required = [...readFileSync(composeFile, "utf8").matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name!);
  expect(required).toContain("USERS_NATS_SEED");
  for (const accounts of [[], shopAccounts.slice(0, 1)]) {
    const given = dockerEnvironment({ env: {}, accounts, credentials }, {});
    expect(required.filter((name) => !given[name])).toEqual([]);
  }
});
