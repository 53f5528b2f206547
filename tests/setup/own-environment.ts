import { serviceNames, urlVariable } from "@shop/topology";

/** What would lead what is started for tests to servers, services or data of somebody else. */
const foreign = ["MONGODB_URI", "REDIS_URL", "NATS_URL", ...serviceNames.map(urlVariable)];
/** What the test runner sets for itself. */
const runners = /^(NODE_ENV|TEST|VITEST.*|VITE_.*|MODE|DEV|PROD|SSR|BASE_URL)$/;

/** Tests sign in and register as nobody does, all from one address, and many try wrong passwords. */
const limits = {
  AUTH_RATE_PER_MINUTE: "1000000",
  SIGN_IN_FREE_FAILURES: "50",
  PASSWORD_HASHES_PER_NETWORK: "0",
  PASSWORD_HASHES_WAITING: "100",
  // Few accounts order what many customers would.
  ORDER_LINES_PER_ACCOUNT: "0",
  ORDER_LINES_PER_NETWORK: "0",
  MAX_OPEN_UNITS_PER_ACCOUNT: "0",
  MAX_OPEN_UNITS_PER_PRODUCT: "0",
};

/** The environment of processes that are started for tests: this one's, without anything that leads out of the test. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !runners.test(name));
  // Empty counts as absent, and keeps a .env file from setting it.
  return { ...Object.fromEntries(kept), ...Object.fromEntries(foreign.map((name) => [name, ""])), ...limits };
}
