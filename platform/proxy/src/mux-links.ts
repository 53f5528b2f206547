import { type MuxLink, type MuxLinkOptions, NoMux, openMuxLink } from "./mux-link.ts";

/** The time until the next attempt, after one that failed or after a link was lost. */
const retryMs = 500;
/** The same for a server that speaks HTTP only: an older release, which may be replaced. */
const retryHttpOnlyMs = 10_000;
/** The most links to a replica, however many workers it has. */
const maxLinks = 16;

/**
 * The multiplexed connections to one replica: one for each of its workers, since a connection leads to one worker. They are
 * opened in the background; until one is open, and while the replica offers none, calls are made over HTTP.
 */
export class MuxLinks {
  /** `host:port` */
  readonly authority: string;
  readonly #origin: string;
  readonly #options: MuxLinkOptions;
  readonly #links: MuxLink[] = [];
  #wanted = 1;
  #opening = 0;
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
}
