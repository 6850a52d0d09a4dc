import assert from "node:assert/strict";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";

import { type Peer, Unavailable, ask } from "../src/outbound/ask.js";

const CALLER = { id: "ana", authorization: "Bearer t", requestId: "r-1" };

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A peer on loopback that gives these answers one after the other, and remembers what it was asked. */
async function peerThat(context: TestContext, answers: Answer[]): Promise<{ peer: Peer; asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    const answer = answers[asked.push(request) - 1];
    assert.ok(answer, "asked too often");
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { peer: { name: "product", url: `http://127.0.0.1:${port}`, timeoutMs: 300 }, asked };
}

const says = (status: number, body: string): Answer => (_, response) => response.writeHead(status).end(body);
const hangs: Answer = () => {};
const hangsUp: Answer = (request) => request.socket.destroy();

test("the caller's token and request id travel along", async (context) => {
  const { peer, asked } = await peerThat(context, [says(200, `{"a":1}`)]);
  assert.deepEqual(await ask(peer, "/products/7", CALLER), { a: 1 });
  assert.equal(asked[0]?.url, "/products/7");
  assert.equal(asked[0]?.headers.authorization, "Bearer t");
  assert.equal(asked[0]?.headers["x-request-id"], "r-1");
});

test("what is not found is no failure", async (context) => {
  const { peer } = await peerThat(context, [says(404, "{}")]);
  assert.equal(await ask(peer, "/products/7", CALLER), undefined);
});

for (const [name, first] of [
  ["is busy", says(503, "{}")],
  ["hangs up", hangsUp],
  ["does not answer in time", hangs],
  ["sends half an answer", says(200, `{"a":`)],
] as const) {
  test(`a peer that ${name} is asked once more`, async (context) => {
    const { peer, asked } = await peerThat(context, [first, says(200, `{"a":1}`)]);
    assert.deepEqual(await ask(peer, "/products/7", CALLER), { a: 1 });
    assert.equal(asked.length, 2);
  });

  test(`a peer that always ${name} is unavailable`, async (context) => {
    const { peer, asked } = await peerThat(context, [first, first]);
    await assert.rejects(ask(peer, "/products/7", CALLER), Unavailable);
    assert.equal(asked.length, 2);
  });
}

test("a peer that refuses is not asked again", async (context) => {
  const { peer, asked } = await peerThat(context, [says(403, "{}")]);
  await assert.rejects(ask(peer, "/products/7", CALLER), /the product service does not answer/);
  assert.equal(asked.length, 1);
});
