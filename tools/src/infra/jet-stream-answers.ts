import { jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";
import { waitUntil } from "../wait.ts";

const attemptMs = 2_000;
const requestMs = 1_000;

/**
 * Waits up to two seconds until the servers at these ports answer for the JetStream API: those of a cluster do not until they have
 * elected a leader.
 * @throws Error with the reason why one does not
 */
export async function jetStreamAnswers(ports: readonly number[], seed: string): Promise<true> {
  for (const port of ports) {
    await waitUntil(() => answers(port, seed), { what: `port ${port} answers for JetStream`, timeoutMs: attemptMs });
  }
  return true;
}

async function answers(port: number, seed: string): Promise<boolean> {
  const connection = await connect({
    servers: `127.0.0.1:${port}`,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
    reconnect: false,
    timeout: requestMs,
  });
  try {
    await jetstreamManager(connection, { timeout: requestMs });
    return true;
  } finally {
    await connection.close();
  }
}
