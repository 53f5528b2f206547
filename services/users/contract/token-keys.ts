import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { expect } from "vitest";
import type { ServiceContract } from "../../../tests/contract.ts";

type World = object;

/** Keys that sign, have signed lately or will soon, as JSON Web Keys of nothing but their public halves. */
function arePublicKeys(keys: readonly unknown[]): boolean {
  const publicKey = {
    kty: "OKP",
    crv: "Ed25519",
    kid: expect.any(String),
    x: expect.stringMatching(/^[\w-]{43}$/),
    alg: "EdDSA",
    use: "sig",
  };
  expect(keys).toEqual(keys.map(() => publicKey));
  return keys.length > 0;
}

/** What is promised of each method of TokenKeyService. */
export const contract: ServiceContract<typeof TokenKeyService, World> = {
  service: TokenKeyService,
  methods: {
    listTokenKeys: {
      callers: "anybody",
      rest: () => ({ verb: "GET", path: "/.well-known/jwks.json" }),
      invalid: {},
      cases: [
        {
          as: "nobody",
          says: "lists public keys, and nothing private",
          request: () => ({}),
          answers: () => ({ keys: expect.toSatisfy(arePublicKeys, "are public keys") }),
        },
      ],
      examples: [
        {
          step: 570,
          name: "lists-keys",
          summary: "The keys that access tokens are checked with",
          request: {},
          answer: {
            keys: [
              {
                kty: "OKP",
                crv: "Ed25519",
                kid: "9c837b64-7ee5-4586-a57d-70abc512f6ce",
                x: "RJ6UmyfXrIkKnqTh1FMwO_A9PnW-59EneQT61RUFTdQ",
                alg: "EdDSA",
                use: "sig",
              },
            ],
          },
        },
      ],
    },
  },
};
