// The service as its callers see it, without a network in between.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import type { FastifyInstance, LightMyRequestResponse } from "fastify";

import { createApplication, MAX_BODY_BYTES } from "../src/application.ts";
import { COLLECTION } from "../src/items.ts";
import { readSettings } from "../src/settings.ts";
import { Store } from "../src/store.ts";

const ALICE = { "x-user-id": "alice", "x-request-id": "r-1" };
const BOB = { "x-user-id": "bob", "x-request-id": "r-1" };
const JSON_BODY = { "content-type": "application/json" };

let store: Store;
let service: FastifyInstance;

beforeEach(() => {
  store = new Store();
  service = createApplication(store, readSettings({ LOG_LEVEL: "silent" }));
});

type Method = "GET" | "POST" | "PUT" | "DELETE";

function call(method: Method, url: string, headers: Record<string, string> = ALICE) {
  return service.inject({ method, url, headers });
}

function post(body: unknown, headers: Record<string, string> = JSON_BODY) {
  const payload = typeof body === "string" ? body : JSON.stringify(body);
  return service.inject({
    method: "POST",
    url: COLLECTION,
    headers: { ...ALICE, ...headers },
    payload,
  });
}

// Creates an item for alice and says where it is.
async function create(name: string): Promise<string> {
  const reply = await post({ name });
  assert.equal(reply.statusCode, 201);
  return String(reply.headers.location);
}

function checkProblem(reply: LightMyRequestResponse, status: number, code: string): void {
  const body = reply.json();
  assert.deepEqual([reply.statusCode, body.status, body.code], [status, status, code]);
  assert.match(String(reply.headers["content-type"]), /^application\/problem\+json/);
  assert.deepEqual([reply.headers["x-request-id"], body.request_id], ["r-1", "r-1"]);
  assert.equal(body.retryable, status === 503);
  for (const text of ["type", "title", "detail"]) {
    assert.equal(typeof body[text], "string", text);
  }
}

test("an item is created, shown, listed and removed", async () => {
  const location = await create(" tea ");
  const shown = await call("GET", location);
  assert.deepEqual([shown.statusCode, shown.json().name], [200, "tea"]);
  assert.deepEqual((await call("GET", COLLECTION)).json(), [shown.json()]);

  assert.equal((await call("DELETE", location)).statusCode, 204);
  checkProblem(await call("GET", location), 404, "not_found");
  assert.deepEqual((await call("GET", COLLECTION)).json(), []);
});

test("a delete may say that its empty body is JSON", async () => {
  const location = await create("tea");
  assert.equal((await call("DELETE", location, { ...ALICE, ...JSON_BODY })).statusCode, 204);
});

test("the newest item is listed first", async () => {
  for (const name of ["first", "second", "third"]) {
    await create(name);
  }
  const listed = (await call("GET", COLLECTION)).json() as { name: string }[];
  assert.deepEqual(
    listed.map((item) => item.name),
    ["third", "second", "first"],
  );
});

test("what is someone else's is not there", async () => {
  const location = await create("tea");
  checkProblem(await call("GET", location, BOB), 404, "not_found");
  checkProblem(await call("DELETE", location, BOB), 404, "not_found");
  assert.deepEqual((await call("GET", COLLECTION, BOB)).json(), []);
  assert.equal((await call("GET", location)).statusCode, 200);
});

test("a request that names no user is refused", async () => {
  checkProblem(await call("GET", COLLECTION, { "x-request-id": "r-1" }), 401, "unauthenticated");
});

test("an invalid item names every fault", async () => {
  const reply = await post({ name: " ", note: "x".repeat(1001) });
  checkProblem(reply, 422, "invalid");
  assert.deepEqual(reply.json().errors, [
    { field: "name", message: "must not be empty" },
    { field: "note", message: "must not be longer than 1000 characters" },
  ]);
});

test("a name that is none is named", async () => {
  for (const body of [{}, { name: 5 }, { name: null }, { name: "x".repeat(101) }]) {
    const reply = await post(body);
    checkProblem(reply, 422, "invalid");
    assert.equal(reply.json().errors[0].field, "name");
  }
});

test("a body that is no object is invalid", async () => {
  for (const body of ["5", "null", "[]"]) {
    checkProblem(await post(body), 422, "invalid");
  }
});

test("a body that is no JSON is malformed", async () => {
  for (const body of ["", "{", '{"name": "tea"']) {
    checkProblem(await post(body), 400, "malformed_json");
  }
});

test("a body of another type is refused", async () => {
  checkProblem(await post("x", { "content-type": "text/plain" }), 415, "unsupported_media_type");
});

test("a body that is too large is refused", async () => {
  checkProblem(await post({ name: "x".repeat(MAX_BODY_BYTES) }), 413, "body_too_large");
});

test("an unknown path is a problem, too", async () => {
  checkProblem(await call("GET", "/nothing/here"), 404, "unknown_path");
});

test("a path that cannot be decoded is a problem, too", async () => {
  const reply = await call("GET", "/%zz");
  checkProblem(reply, 400, "malformed_path");
});

test("a method that the path does not know names those it does", async () => {
  const reply = await call("PUT", COLLECTION);
  checkProblem(reply, 405, "method_not_allowed");
  assert.equal(reply.headers.allow, "GET, POST");
});

test("a request without a usable id is given one", async () => {
  for (const id of ["", "x".repeat(129)]) {
    const reply = await call("GET", "/nothing", { "x-request-id": id });
    assert.equal(String(reply.headers["x-request-id"]).length, 36);
    assert.equal(reply.json().request_id, reply.headers["x-request-id"]);
  }
});

test("the service is alive and ready", async () => {
  for (const path of ["/health/live", "/health/ready"]) {
    assert.equal((await call("GET", path)).statusCode, 200);
  }
});

test("a database that is gone leaves it alive, but not ready", async () => {
  store.close();
  assert.equal((await call("GET", "/health/live")).statusCode, 200);
  checkProblem(await call("GET", "/health/ready"), 503, "unavailable");
  checkProblem(await call("GET", COLLECTION), 503, "unavailable");
});
