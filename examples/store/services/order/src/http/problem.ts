/** Everything that goes wrong, as RFC 9457 problem details. */

import { STATUS_CODES } from "node:http";

import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";

import { type Fault, InvalidRequest } from "../domain/fault.js";
import { Unavailable } from "../outbound/ask.js";

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly faults: readonly Fault[] = [],
    options?: ErrorOptions,
  ) {
    super(detail, options);
  }

  static notFound(): Problem {
    return new Problem(404, "not_found", "there is nothing here, or nothing for you");
  }

  static unauthenticated(): Problem {
    return new Problem(401, "unauthenticated", "sign in first");
  }

  static notReady(cause: unknown): Problem {
    return new Problem(503, "not_ready", "the database does not answer", [], { cause });
  }
}

/** Fastify's last word about any error. */
export function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  if (problem.status >= 500) {
    request.log.error({ error: reasonOf(problem) }, problem.message);
  }
  if (problem.status === 503) {
    void reply.header("retry-after", "1");
  }
  return reply
    .status(problem.status)
    .type("application/problem+json")
    .send(documentOf(problem, request.id));
}

function problemOf(error: FastifyError | Error): Problem {
  if (error instanceof Problem) {
    return error;
  }
  if (error instanceof InvalidRequest) {
    return new Problem(422, "invalid", error.message, error.faults);
  }
  if (error instanceof Unavailable) {
    return new Problem(503, `${error.peer}_unavailable`, error.message, [], { cause: error.cause });
  }
  const status = "statusCode" in error ? (error.statusCode ?? 500) : 500;
  if (status >= 400 && status < 500) {
    return new Problem(status, "unreadable", error.message);
  }
  return new Problem(500, "internal", "something broke on our side", [], { cause: error });
}

function documentOf(problem: Problem, requestId: string): object {
  return {
    type: "about:blank",
    title: STATUS_CODES[problem.status],
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    request_id: requestId,
    retryable: problem.status === 503,
    ...(problem.faults.length > 0 && { errors: problem.faults }),
  };
}

/** The whole chain of causes in one line: `fetch failed: connect ECONNREFUSED …`. */
function reasonOf(problem: Problem): string {
  const reasons: string[] = [];
  for (let cause = problem.cause; cause instanceof Error; cause = cause.cause) {
    reasons.push(cause.message || cause.name);
  }
  return reasons.join(": ");
}
