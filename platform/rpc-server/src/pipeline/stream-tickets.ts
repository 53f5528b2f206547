import type { AnyRequest } from "@shop/http-port";

/** The query parameter in which a browser's EventSource sends a ticket. */
const parameter = "access_ticket";
const ticketInQuery = new RegExp(`(?<=[?&])${parameter}=([^&]*)(&|$)`);

/** `Ticket <path> <ticket>`: used internally, between gateway and services. */
const ticketScheme = /^ticket(?: .*)? (\S+)$/i;

/**
 * Moves a stream ticket from the query to the authorization header, together with the path of the request, before anything
 * reads or logs the query. If a caller sends a header of this form itself, only its ticket counts; the path is replaced.
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

/** The ticket that {@link moveTicket} found, and the path that it must be valid for. */
export function ticketIn(header: Headers): { readonly path: string; readonly ticket: string } | undefined {
  const [, path, ticket] = /^Ticket (\S+) (\S+)$/.exec(header.get("authorization") ?? "") ?? [];
  return path === undefined || ticket === undefined ? undefined : { path, ticket };
}
