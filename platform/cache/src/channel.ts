import type { Redis } from "./redis.ts";

const beatMs = 250;
/** After so long without a beat of its own a process no longer counts on hearing of changes. */
const silenceMs = 1_000;

/** What processes tell each other, by Redis. Messages get lost while it is away: whoever relies on them asks `covers`. */
export interface Channel {
  /** Names the time since the connection last broke, or was whole again. */
  readonly session: number;
  /** Whether nothing that was said since `session` is missing, as of a second ago at most. */
  covers(session: number): boolean;
  close(): void;
}

/**
 * Listens to what is said on the channel of this name. A beat that the process sends to itself, behind whatever others have
 * said before, shows that it hears: also that Redis is not frozen, and that the process itself was not.
 */
export function openChannel(redis: Redis, name: string, heard: (message: string) => void): Channel {
  const beats = `${name}:beats:${crypto.randomUUID()}`;
  const ears = redis.duplicate();
  let session = 0;
  let heardAt = Number.NEGATIVE_INFINITY;

  function broke(): void {
    session++;
    heardAt = Number.NEGATIVE_INFINITY;
  }
  // The client that speaks reports what is wrong with Redis.
  ears.on("error", broke).on("reconnecting", broke).on("end", broke);
  // What was said between the attempt to connect and the subscription, which is in place when it is ready, is missing too.
  ears.on("ready", broke);
  // One command subscribes to both, after a reconnection too: no beat can come before the rest is heard.
  const subscribed = ears.connect().then(() =>
    ears.subscribe([name, beats], (message, channel) => {
      if (channel === name) heard(message);
      else heardAt = Number(message);
    }),
  );
  subscribed.then(broke).catch(() => {});
  const beat = setInterval(() => {
    if (redis.isReady) redis.publish(beats, String(performance.now())).catch(() => {});
  }, beatMs);
  beat.unref();

  return {
    get session() {
      return session;
    },
    covers: (since) => since === session && performance.now() - heardAt <= silenceMs,
    close() {
      clearInterval(beat);
      if (ears.isOpen) ears.destroy();
    },
  };
}
