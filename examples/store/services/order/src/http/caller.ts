/** Who asks, from the headers that the gateway sets and no client can forge. */

import type { FastifyRequest } from "fastify";

import type { Caller } from "../domain/ports.js";
import { Problem } from "./problem.js";

export function callerOf(request: FastifyRequest): Caller {
  const id = request.headers["x-user-id"];
  if (typeof id !== "string" || id === "") {
    throw Problem.unauthenticated();
  }
  return { id, authorization: request.headers.authorization, requestId: request.id };
}
