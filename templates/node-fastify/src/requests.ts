// Around every request: its id and its line in the log.

import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";

import type { FastifyInstance, FastifyServerOptions } from "fastify";

import { pathOf } from "./problems.ts";
import type { Settings } from "./settings.ts";

export const REQUEST_ID = "x-request-id";
const USABLE_ID = /^[\x21-\x7e]{1,128}$/;

/** The id that the request came with, or a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers[REQUEST_ID];
  return typeof given === "string" && USABLE_ID.test(given) ? given : randomUUID();
}

/** One JSON object per line on stdout: when, how bad, what, in which service. */
export function logOptions(settings: Settings): FastifyServerOptions["logger"] {
  return {
    level: settings.logLevel,
    base: { service: settings.name },
    messageKey: "message",
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    formatters: { level: (level) => ({ level }) },
  };
}

export function logRequests(application: FastifyInstance): void {
  application.addHook("onRequest", async (request, reply) => {
    reply.header(REQUEST_ID, request.id);
  });
  application.addHook("onSend", async (_, reply) => {
    // A connection that is kept open would keep a service open that is asked to stop.
    if (!application.server.listening) {
      reply.header("connection", "close");
    }
  });
  application.addHook("onResponse", async (request, reply) => {
    const path = pathOf(request);
    // Probes come all the time and say nothing.
    const level = path.startsWith("/health/") ? "debug" : "info";
    const duration_ms = Math.round(reply.elapsedTime);
    const fields = { method: request.method, path, status: reply.statusCode, duration_ms };
    request.log[level](fields, "request");
  });
}
