/** What would lead what is started for tests to servers, services or data of somebody else. */
const foreign = ["MONGODB_URI", "REDIS_URL", "NATS_URL", "USERS_URL", "INVENTORY_URL", "ORDERS_URL"];
/** What the test runner sets for itself. */
const runners = /^(NODE_ENV|TEST|VITEST.*|VITE_.*|MODE|DEV|PROD|SSR|BASE_URL)$/;

/** The environment of processes that are started for tests: this one's, without anything that leads out of the test. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !runners.test(name));
  // Empty counts as absent, and keeps a .env file from setting it.
  return { ...Object.fromEntries(kept), ...Object.fromEntries(foreign.map((name) => [name, ""])) };
}
