import type { AnyRequest } from "@shop/http-port";

/** Of the query, where a ticket comes from a browser's EventSource. */
const parameter = "access_ticket";
const ticketInQuery = new RegExp(`(?<=[?&])${parameter}=([^&]*)(&|$)`);

/** `Ticket <path> <ticket>`: between the parts of the platform, and nowhere else. */
const ticketScheme = /^ticket(?: .*)? (\S+)$/i;

/**
 * Puts a ticket that opens a stream where access is decided, together with the path that the request really has. The query loses it
 * before anything reads or logs it. Of what a caller says in a header of this form only the ticket counts.
 */
export function moveTicket(request: AnyRequest): void {
  const url = request.url ?? "/";
  const { authorization } = request.headers;
  let ticket = authorization === undefined ? undefined : ticketScheme.exec(authorization)?.[1];
  const inQuery = request.method === "GET" && url.includes(parameter) ? ticketInQuery.exec(url)?.[1] : undefined;
  if (inQuery !== undefined) {
    request.url = url.replace(ticketInQuery, "").replace(/[?&]$/, "");
    if (authorization === undefined) ticket = inQuery;
  }
  if (ticket === undefined) return;
  const path = (request.url ?? "/").split("?", 1)[0]!;
  request.headers.authorization = `Ticket ${path} ${ticket}`;
}

/** What {@link moveTicket} has found: the ticket, and the path that it has to be for. */
export function ticketIn(header: Headers): { readonly path: string; readonly ticket: string } | undefined {
  const [, path, ticket] = /^Ticket (\S+) (\S+)$/.exec(header.get("authorization") ?? "") ?? [];
  return path === undefined || ticket === undefined ? undefined : { path, ticket };
}
