/** Alive: the process answers. Ready: it can do its work. */

import type { FastifyInstance } from "fastify";

import { Problem } from "./problem.js";

export function health(check: () => void) {
  return async (server: FastifyInstance): Promise<void> => {
    server.get("/live", async () => ({ status: "live" }));
    server.get("/ready", async () => {
      try {
        check();
      } catch (cause) {
        throw Problem.notReady(cause);
      }
      return { status: "ready" };
    });
  };
}
