/** Puts the parts together, and surrounds every request with its id and its line in the log. */

import { randomUUID } from "node:crypto";

import { type FastifyInstance, LogController, fastify } from "fastify";

import { loggerOptions } from "../log.js";
import type { Settings } from "../settings.js";
import { health } from "./health.js";
import { type OrderParts, orderRoutes } from "./orders.js";
import { Problem, answerError } from "./problem.js";

export interface ServerParts extends OrderParts {
  readonly check: () => void;
}

export function makeServer(settings: Settings, parts: ServerParts): FastifyInstance {
  const server = fastify({
    logger: loggerOptions(settings),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: "request_id" }),
    requestIdHeader: "x-request-id",
    genReqId: () => randomUUID(),
    bodyLimit: 64 * 1024,
  });
  server.setErrorHandler(answerError);
  server.setNotFoundHandler(() => {
    throw Problem.notFound();
  });
  server.addHook("onRequest", async (request, reply) => void reply.header("x-request-id", request.id));
  server.addHook("onResponse", async (request, reply) => {
    const [path] = request.url.split("?", 1);
    const duration_ms = Math.round(reply.elapsedTime);
    request.log.info({ method: request.method, path, status: reply.statusCode, duration_ms }, "request");
  });
  void server.register(orderRoutes(parts), { prefix: "/orders" });
  void server.register(health(parts.check), { prefix: "/health" });
  return server;
}
