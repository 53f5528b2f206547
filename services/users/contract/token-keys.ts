import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { expect } from "vitest";
import type { ServiceContract } from "../../../tests/contract.ts";

type World = object;

/** Whether all keys are JSON Web Keys with public fields only. */
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

/** The contract of each method of TokenKeyService. */
export const contract: ServiceContract<typeof TokenKeyService, World> = {
  service: TokenKeyService,
  methods: {
    listTokenKeys: {
      access: "PUBLIC",
      rest: () => ({ verb: "GET", path: "/.well-known/jwks.json" }),
      invalid: {},
      cases: [
        {
          as: "anonymous",
          says: "lists the public keys only",
          request: () => ({}),
          answers: () => ({ keys: expect.toSatisfy(arePublicKeys, "are public keys") }),
        },
      ],
      examples: [
        {
          step: 570,
          name: "lists-keys",
          summary: "The keys that verify access tokens",
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
