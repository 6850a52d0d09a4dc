// Puts the service together.

import fastify, { LogController, type FastifyInstance } from "fastify";

import { serveHealth } from "./health.ts";
import { serveItems } from "./items.ts";
import { answer, installProblems, malformedPath } from "./problems.ts";
import { logOptions, logRequests, REQUEST_ID, requestIdOf } from "./requests.ts";
import type { Settings } from "./settings.ts";
import type { Store } from "./store.ts";

// The largest request body that is read, in bytes.
export const MAX_BODY_BYTES = 64 * 1024;

export function createApplication(store: Store, settings: Settings): FastifyInstance {
  const application = fastify({
    bodyLimit: MAX_BODY_BYTES,
    logger: logOptions(settings),
    logController: new LogController({
      disableRequestLogging: true,
      requestIdLogLabel: "request_id",
    }),
    genReqId: requestIdOf,
    frameworkErrors: (_, request, reply) =>
      answer(malformedPath(), request, reply.header(REQUEST_ID, request.id)),
  });
  logRequests(application);
  installProblems(application);
  readOnlyJson(application);
  serveItems(application, store);
  serveHealth(application, store);
  application.addHook("onClose", () => store.close());
  return application;
}

// A DELETE may say that its body, which is empty, is JSON.
function readOnlyJson(application: FastifyInstance): void {
  const parse = application.getDefaultJsonParser("error", "error");
  application.removeAllContentTypeParsers();
  application.addContentTypeParser(
    "application/json",
    { parseAs: "string" },
    (request, text, done) =>
      text === "" ? done(null, undefined) : parse(request, String(text), done),
  );
}
