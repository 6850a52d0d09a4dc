/** One JSON object a line on standard output, which is where the platform reads logs. */

import type { FastifyServerOptions } from "fastify";

import type { Settings } from "./settings.js";

export function loggerOptions({ service, logLevel }: Settings): NonNullable<FastifyServerOptions["logger"]> {
  return {
    level: logLevel,
    base: { service },
    messageKey: "message",
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    formatters: { level: (level) => ({ level }) },
  };
}
