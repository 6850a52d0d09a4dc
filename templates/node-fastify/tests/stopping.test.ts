// The real program, from its first line in the log to its last.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface, type Interface } from "node:readline";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

import { COLLECTION } from "../src/items.ts";

const PROGRAM = fileURLToPath(new URL("../src/main.js", import.meta.url));

let service: ChildProcess;
let log: AsyncIterator<string>;
let reader: Interface;

beforeEach(() => {
  const environment = { PATH: process.env.PATH, HOST: "127.0.0.1", PORT: "0" };
  const options = { env: environment, stdio: ["ignore", "pipe", "inherit"] as const };
  service = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROGRAM], {
    ...options,
    stdio: [...options.stdio],
  });
  assert.ok(service.stdout);
  reader = createInterface(service.stdout);
  log = reader[Symbol.asyncIterator]();
});

afterEach(() => {
  reader.close();
  service.kill("SIGKILL");
});

// Reads the log up to the line with this message; every line is JSON.
async function waitFor(message: string): Promise<Record<string, unknown>> {
  for (let next = await log.next(); !next.done; next = await log.next()) {
    const line = JSON.parse(next.value);
    assert.ok(line.timestamp && line.level && line.service);
    if (line.message === message) {
      return line;
    }
  }
  throw new Error(`the log ended without ${message}`);
}

// Sends the head of a request and waits until the service asks for the body.
async function beginRequest(body: string): Promise<Socket> {
  const { port } = await waitFor("listening");
  const socket = connect(Number(port), "127.0.0.1");
  socket.write(
    `POST ${COLLECTION} HTTP/1.1\r\nhost: test\r\nx-user-id: alice\r\nx-request-id: r-1\r\n` +
      "content-type: application/json\r\nexpect: 100-continue\r\n" +
      `content-length: ${body.length}\r\n\r\n`,
  );
  const [answer] = await once(socket, "data");
  assert.match(String(answer), /^HTTP\/1.1 100 /);
  return socket;
}

test("a request that has begun is finished before the service stops", async () => {
  const body = '{"name": "tea"}';
  const socket = await beginRequest(body);
  service.kill("SIGTERM");
  await waitFor("stopping");
  socket.write(body);
  const [answer] = await once(socket, "data");

  assert.match(String(answer), /^HTTP\/1.1 201 /);
  assert.equal((await waitFor("request")).request_id, "r-1");
  const exited = once(service, "exit");
  await waitFor("stopped");
  assert.deepEqual(await exited, [0, null]);
});

test("a request that never ends does not keep the service from stopping", async () => {
  const socket = await beginRequest("{}");
  socket.on("error", () => undefined);
  const exited = once(service, "exit");
  service.kill("SIGTERM");
  await waitFor("requests were cut off");
  assert.deepEqual(await exited, [0, null]);
  socket.destroy();
});
