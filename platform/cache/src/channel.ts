import type { Redis } from "./redis.ts";

const beatMs = 250;
/** Without a heartbeat of its own for this time, a process no longer relies on receiving changes. */
const maxBeatAgeMs = 1_000;

/**
 * A pub/sub channel between processes, over Redis. Messages are lost while Redis is unavailable: call `covers` before relying
 * on them.
 */
export interface Channel {
  /** Changes whenever the connection breaks, and when it is restored. */
  readonly session: number;
  /** Whether all messages since `session` began were received, as of one second ago at most. */
  covers(session: number): boolean;
  close(): void;
}

/**
 * Subscribes to a channel. A heartbeat that the process publishes to itself arrives after all earlier messages of others. So it
 * proves that messages are received, that Redis is not frozen, and that the process itself was not.
 */
export function openChannel(redis: Redis, name: string, onMessage: (message: string) => void): Channel {
  const beats = `${name}:beats:${crypto.randomUUID()}`;
  const subscriber = redis.duplicate();
  let session = 0;
  let beatAt = Number.NEGATIVE_INFINITY;

  function startSession(): void {
    session++;
    beatAt = Number.NEGATIVE_INFINITY;
  }
  // The publishing client reports Redis errors.
  subscriber.on("error", startSession).on("reconnecting", startSession).on("end", startSession);
  // Messages between the connection attempt and the subscription, which exists when the client is ready, are missing, too.
  subscriber.on("ready", startSession);
  // One command subscribes to both channels, also after a reconnect: no heartbeat arrives before messages do.
  const subscribed = subscriber.connect().then(() =>
    subscriber.subscribe([name, beats], (message, channel) => {
      if (channel === name) onMessage(message);
      else beatAt = Number(message);
    }),
  );
  subscribed.then(startSession).catch(() => {});
  const beat = setInterval(() => {
    if (redis.isReady) redis.publish(beats, String(performance.now())).catch(() => {});
  }, beatMs);
  beat.unref();

  return {
    get session() {
      return session;
    },
    covers: (since) => since === session && performance.now() - beatAt <= maxBeatAgeMs,
    close() {
      clearInterval(beat);
      if (subscriber.isOpen) subscriber.destroy();
    },
  };
}
