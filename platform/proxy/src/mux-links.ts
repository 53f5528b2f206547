import { type MuxLink, type MuxLinkOptions, NoMux, openMuxLink } from "./mux-link.ts";

/** The time until the next attempt, after one that failed or after a link was lost. */
const retryMs = 500;
/** The same for a server that speaks HTTP only: an older release, which may be replaced. */
const retryHttpOnlyMs = 10_000;
/** The time until the next attempt, after too many that led to workers with a link. */
const retryDuplicateMs = 2_000;
/** The most links to a replica, however many workers it has. */
const maxLinks = 16;

/**
 * The multiplexed connections to one replica: one for each of its workers. They are opened in the background, as calls
 * come; until one is open, and while the replica offers none, calls are made over HTTP.
 *
 * A connection leads to one worker, which the replica chooses and names. One that leads to a worker with a link is closed, and
 * the next call opens another. After twice as many of them as there are workers, one after the other, the next attempt waits:
 * a worker may be starting.
 */
export class MuxLinks {
  /** `host:port` */
  readonly authority: string;
  readonly #origin: string;
  readonly #options: MuxLinkOptions;
  readonly #links: MuxLink[] = [];
  #wanted = 1;
  #opening = 0;
  /** The connections that led to a worker with a link, since the last one that did not or since the last wait. */
  #duplicates = 0;
  #notBefore = 0;
  #turn = 0;
  #isClosed = false;

  /** @param origin `http://host:port` */
  constructor(origin: string, options: MuxLinkOptions) {
    this.authority = new URL(origin).host;
    this.#origin = origin;
    this.#options = options;
  }

  /** An open link; undefined if there is none at the moment. */
  take(): MuxLink | undefined {
    if (this.#links.length + this.#opening < this.#wanted) this.#open();
    for (let tried = 0; tried < this.#links.length; tried++) {
      const link = this.#links[this.#turn++ % this.#links.length]!;
      if (link.isOpen) return link;
    }
    return undefined;
  }

  /** Closes all at once; calls in progress break. */
  close(): void {
    this.#isClosed = true;
    for (const link of this.#links) link.close();
  }

  #open(): void {
    if (this.#isClosed || performance.now() < this.#notBefore) return;
    this.#opening++;
    openMuxLink(this.#origin, this.#options)
      .then(({ link, workers }) => {
        this.#wanted = Math.min(Math.max(workers, 1), maxLinks);
        if (this.#isDuplicate(link)) {
          link.close();
          if (++this.#duplicates >= 2 * this.#wanted) {
            this.#duplicates = 0;
            this.#notBefore = performance.now() + retryDuplicateMs;
          }
          return;
        }
        this.#duplicates = 0;
        this.#links.push(link);
        link.onClose(() => {
          const index = this.#links.indexOf(link);
          if (index !== -1) this.#links.splice(index, 1);
          // The process ends, or has just ended.
          this.#notBefore = performance.now() + retryMs;
        });
        if (this.#isClosed) link.close();
      })
      .catch((error: unknown) => {
        const isOld = error instanceof NoMux && error.speaksHttpOnly;
        this.#notBefore = performance.now() + (isOld ? retryHttpOnlyMs : retryMs);
      })
      .finally(() => {
        this.#opening--;
      });
  }

  #isDuplicate({ worker }: MuxLink): boolean {
    return worker !== undefined && this.#links.some((link) => link.worker === worker);
  }
}
