import type { Bus } from "./bus.ts";

const defaultBeatMs = 1_000;
/** A sender that was not heard for this many heartbeats is silent. */
const silentBeats = 3;
/** About 35 KB, far below the 1 MiB that servers accept. */
const maxIds = 1_000;

export interface NoticeListener {
  /** These documents may have changed. */
  changed(ids: readonly string[]): void;
  /** Notices may have been lost: any document may have changed. */
  missed(): void;
}

/**
 * Notices of changed documents between the processes that host a service. A notice is a hint and may be lost; a listener is told
 * when that may have happened.
 */
export interface ChangeNotices {
  /** Sends a notice. Call it after the commit, at any rate. Never throws, and is safe to repeat. */
  announce(ids: readonly string[]): void;
  /** Listens until the returned function is called. There is one listener at most. Calls `missed` once notices arrive. */
  listen(listener: NoticeListener): () => void;
  /** Whether the listener receives notices, as of {@link silentBeats} heartbeats ago at most. */
  isLive(): boolean;
  close(): void;
}

/** A notice, or without ids a heartbeat. */
interface Notice {
  readonly from: string;
  /** The number of notices that this sender had sent, with this one. */
  readonly n: number;
  readonly ids?: readonly string[];
}

/**
 * Sends and receives notices on the NATS subject `changes.<name>`, without JetStream: nothing is stored, and a process that does
 * not listen receives nothing. The notices of a sender are numbered, and every second it repeats its last number in a heartbeat.
 * Losses show as
 *
 * - a number that is not the next one: a notice was lost;
 * - an unknown sender: earlier notices of it may have been lost;
 * - a sender that falls silent: it may have died between a commit and its notice, or can't be heard.
 *
 * A process receives its own heartbeats, too. They prove that its subscription works, since they travel the same way. So a
 * broken connection, a hanging server and a missing permission are all the same: its own heartbeats are absent. Its own notices
 * reach its listener directly.
 */
export function openChangeNotices(bus: Bus, name: string, beatMs = defaultBeatMs): ChangeNotices {
  const subject = `changes.${name}`;
  const self = crypto.randomUUID();
  const waiting = new Set<string>();
  const senders = new Map<string, { readonly n: number; readonly heardAt: number }>();
  let listener: NoticeListener | undefined;
  let sent = 0;

  function publish(notice: Notice): void {
    // Otherwise the client would keep it and send it late. The next number shows the gap.
    if (bus.isConnected()) bus.connection.publish(subject, JSON.stringify(notice));
  }

  function sendWaiting(): void {
    const ids = [...waiting];
    waiting.clear();
    for (let from = 0; from < ids.length; from += maxIds)
      publish({ from: self, n: ++sent, ids: ids.slice(from, from + maxIds) });
  }

  function receive({ from, n, ids = [] }: Notice): void {
    const isNext = senders.get(from)?.n === (ids.length === 0 ? n : n - 1);
    senders.set(from, { n, heardAt: performance.now() });
    if (!isNext) listener?.missed();
    if (from !== self) listener?.changed(ids);
  }

  function beat(): void {
    publish({ from: self, n: sent });
    const silentSince = performance.now() - silentBeats * beatMs;
    for (const [sender, { heardAt }] of senders) {
      if (heardAt >= silentSince) continue;
      senders.delete(sender);
      listener?.missed();
    }
  }

  const beating = setInterval(beat, beatMs);
  beating.unref();
  beat();
  return {
    announce(ids) {
      if (ids.length === 0) return;
      listener?.changed(ids);
      // Notices of one turn of the event loop are one message.
      if (waiting.size === 0) setImmediate(sendWaiting);
      for (const id of ids) waiting.add(id);
    },
    listen(listening) {
      listener = listening;
      const subscription = bus.connection.subscribe(subject, {
        callback(error, message) {
          // Otherwise the permission is missing, and no heartbeat arrives either.
          if (error === null) receive(message.json<Notice>());
        },
      });
      beat();
      return () => {
        subscription.unsubscribe();
        senders.clear();
        listener = undefined;
      };
    },
    isLive: () => senders.has(self),
    close: () => clearInterval(beating),
  };
}
