import { ConfigError } from "@shop/core";

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "something else listens there",
  EADDRNOTAVAIL: "that is not an address of this machine",
  EAFNOSUPPORT: "this machine does not have that kind of address",
  EINVAL: "that is not an address to listen on",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the name of the host can't be resolved",
  EACCES: "that port requires more privileges",
};

/** Turns a failure to listen on an address into a ConfigError of one line; returns any other error unchanged. */
export function listenFailure(error: unknown, name: string, host: string, port: number): unknown {
  const { code = "" } = error as NodeJS.ErrnoException;
  const reason = reasons[code];
  return reason === undefined
    ? error
    : new ConfigError(`${name} can't listen on port ${port} of ${host}: ${reason} (${code})`);
}
