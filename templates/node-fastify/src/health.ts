// Whether the process lives, and whether it can take requests.

import type { FastifyInstance } from "fastify";

import { reach } from "./items.ts";
import { allowOnly } from "./problems.ts";
import type { Store } from "./store.ts";

export function serveHealth(application: FastifyInstance, store: Store): void {
  application.get("/health/live", (_, reply) => reply.send());
  application.get("/health/ready", (request, reply) => {
    reach(request, () => store.check());
    return reply.send();
  });
  allowOnly(application, "/health/live", ["GET"]);
  allowOnly(application, "/health/ready", ["GET"]);
}
