/**
 * Asks another service for something. A question changes nothing, so it may be asked twice: once
 * more when the first try got no answer. Both tries have a deadline.
 */

import type { Caller } from "../domain/ports.js";

export interface Peer {
  readonly name: string;
  readonly url: string;
  readonly timeoutMs: number;
}

export const TIMEOUT_MS = 2_000;
const TRIES = 2;

/** The other service did not answer, or not with anything that can be used. */
export class Unavailable extends Error {
  constructor(
    readonly peer: string,
    cause: unknown,
  ) {
    super(`the ${peer} service does not answer`, { cause });
  }
}

/** The JSON of the answer, or `undefined` when the other service knows of no such thing. */
export async function ask(peer: Peer, path: string, caller: Caller): Promise<unknown> {
  let cause: unknown;
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    try {
      const response = await fetchOnce(peer, path, caller);
      if (response.status === 404) {
        return undefined;
      }
      if (response.ok) {
        return await response.json();
      }
      cause = new Error(`${path} was answered with ${response.status}`);
      if (!isPassing(response.status)) {
        break;
      }
    } catch (error) {
      cause = error;
    }
  }
  throw new Unavailable(peer.name, cause);
}

async function fetchOnce(peer: Peer, path: string, caller: Caller): Promise<Response> {
  const headers = new Headers({ accept: "application/json", "x-request-id": caller.requestId });
  if (caller.authorization !== undefined) {
    headers.set("authorization", caller.authorization);
  }
  return fetch(peer.url + path, { headers, redirect: "error", signal: AbortSignal.timeout(peer.timeoutMs) });
}

/** Whether the same question may well be answered a moment later. */
function isPassing(status: number): boolean {
  return status === 502 || status === 503 || status === 504;
}
