/** Who asks, from the headers that the gateway sets and no client can forge. */

import type { IncomingHttpHeaders } from "node:http";

import type { FastifyRequest } from "fastify";

import type { Caller } from "../domain/ports.js";
import { Problem } from "./problem.js";

export function callerOf(request: FastifyRequest): Caller {
  const id = request.headers["x-user-id"];
  if (typeof id !== "string" || id === "") {
    throw Problem.unauthenticated();
  }
  return { id, authorization: authorizationOf(request.headers), requestId: request.id };
}

/** The token to show to other services. A browser brings it in a cookie, which never travels further. */
function authorizationOf({ authorization, cookie }: IncomingHttpHeaders): string | undefined {
  const [, token] = /(?:^|;\s*)access_token=([^;]+)/.exec(cookie ?? "") ?? [];
  return authorization ?? (token && `Bearer ${token}`);
}
