// Everything that is answered instead of a result (RFC 9457).

import { STATUS_CODES } from "node:http";

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { Invalid, type Fault } from "./domain.ts";

/** Thrown wherever a request cannot be answered; `code` is what programs go by. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly faults: Fault[] | undefined;

  constructor(status: number, code: string, detail: string, faults?: Fault[]) {
    super(detail);
    this.status = status;
    this.code = code;
    this.faults = faults;
  }
}

export const unauthenticated = () =>
  new Problem(401, "unauthenticated", "the request names no user");

// There is none, or it is someone else's: the answer is the same, so that nobody can find out.
export const notFound = () => new Problem(404, "not_found", "you have nothing with this id");

export const malformed = (cause: string) =>
  new Problem(400, "malformed_json", `the body is not JSON: ${cause}`);

export const malformedPath = () => new Problem(400, "malformed_path", "the path cannot be decoded");

/** The caller learns that it was not their fault, the log learns why. */
export function unavailable(request: FastifyRequest, cause: unknown): Problem {
  request.log.error({ cause: String(cause) }, "the database did not answer");
  return new Problem(503, "unavailable", "the service cannot reach its data at the moment");
}

/** Makes every error of the framework look like the service's own. */
export function installProblems(application: FastifyInstance): void {
  application.setErrorHandler<FastifyError>((error, request, reply) =>
    answer(problemOf(error, request), request, reply),
  );
  application.setNotFoundHandler((request, reply) => {
    const problem = new Problem(404, "unknown_path", `nothing is at ${pathOf(request)}`);
    return answer(problem, request, reply);
  });
}

/** Answers every method that is not among `allowed` at `path`. */
export function allowOnly(application: FastifyInstance, path: string, allowed: string[]): void {
  const others = ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((one) => !allowed.includes(one));
  application.route({
    method: others,
    url: path,
    // Before the body is read: it does not matter any more.
    onRequest: async (request, reply) => {
      reply.header("allow", allowed.join(", "));
      const detail = `${pathOf(request)} does not know ${request.method}`;
      return answer(new Problem(405, "method_not_allowed", detail), request, reply);
    },
    handler: () => undefined,
  });
}

export function pathOf(request: FastifyRequest): string {
  return request.url.split("?")[0] ?? request.url;
}

export function answer(
  problem: Problem,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const body = {
    type: "about:blank",
    title: STATUS_CODES[problem.status],
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    request_id: request.id,
    retryable: problem.status === 503,
    errors: problem.faults,
  };
  return reply.code(problem.status).type("application/problem+json").send(JSON.stringify(body));
}

function problemOf(error: FastifyError | Problem | Invalid, request: FastifyRequest): Problem {
  if (error instanceof Problem) {
    return error;
  }
  if (error instanceof Invalid) {
    return new Problem(422, "invalid", error.message, error.faults);
  }
  switch (error.statusCode) {
    case 400:
      return malformed(error.message);
    case 413:
      return new Problem(413, "body_too_large", "the body is larger than it may be");
    case 415:
      return new Problem(415, "unsupported_media_type", "send the body as application/json");
    default:
      request.log.error({ cause: error.stack }, "a request failed");
      return new Problem(500, "internal", "the service made a mistake");
  }
}
