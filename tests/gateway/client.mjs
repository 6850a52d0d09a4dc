// What node does with a gateway. The URL is the argument.
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";

const url = process.argv[2];

// fetch, with bodies of both kinds.
const got = await fetch(`${url}/head?a=1`, { headers: { "x-user-id": "root" } });
const head = await got.json();
assert.equal(head.path, "/head?a=1");
assert.ok(!Object.values(head).includes("root"));
assert.equal(head["x-request-id"], got.headers.get("x-request-id"));
const echoed = await fetch(`${url}/echo`, { method: "POST", body: "hello" });
assert.equal(await echoed.text(), "hello");
async function* pieces() {
  for (const piece of ["in ", "several ", "pieces"]) yield new TextEncoder().encode(piece);
}
const streamed = await fetch(`${url}/echo`, { method: "POST", body: ReadableStream.from(pieces()), duplex: "half" });
assert.equal(await streamed.text(), "in several pieces");
const large = await (await fetch(`${url}/large`)).arrayBuffer();
assert.equal(large.byteLength, 8 * 1024 * 1024);

// A client that leaves in the middle harms nobody.
const leaving = new AbortController();
const left = await fetch(`${url}/large`, { signal: leaving.signal });
await left.body.getReader().read();
leaving.abort();

// Events, one by one.
const events = await fetch(`${url}/events`);
const reader = events.body.pipeThrough(new TextDecoderStream()).getReader();
assert.equal((await reader.read()).value, "data: first\n\n");
await (await fetch(`${url}/go-on`)).text();
assert.equal((await reader.read()).value, "data: second\n\n");
assert.ok((await reader.read()).done);

// Keep-alive agents.
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const ask = (path) =>
  new Promise((resolve, reject) => {
    const request = http.get(`${url}${path}`, { agent }, (response) => {
      response.resume().on("end", () => resolve({ status: response.statusCode, reused: request.reusedSocket }));
    });
    request.on("error", reject);
  });
assert.deepEqual(await ask("/head"), { status: 200, reused: false });
assert.deepEqual(await ask("/missing"), { status: 404, reused: true });
agent.destroy();

// HTTP/2, twenty requests at once on one connection.
const session = http2.connect(url);
const request = (path, body) =>
  new Promise((resolve, reject) => {
    const stream = session.request({ ":path": path, ":method": body ? "POST" : "GET", cookie: ["a=b", "c=d"] });
    const chunks = [];
    let status;
    stream.on("response", (headers) => (status = headers[":status"]));
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => resolve({ status, body: Buffer.concat(chunks).toString() }));
    stream.on("error", reject);
    stream.end(body);
  });
const bodies = Array.from({ length: 20 }, (_, n) => `body ${n}`.repeat(n * 100 + 1));
const answers = await Promise.all(bodies.map((body) => request("/echo", body)));
for (const [n, { status, body }] of answers.entries()) {
  assert.ok(status === 200 && body === bodies[n], `answer ${n}: ${status} ${body.slice(0, 300)}`);
}
assert.equal(JSON.parse((await request("/head")).body).cookie, "a=b; c=d");
assert.equal((await request("/large")).body.length, 8 * 1024 * 1024);
await new Promise((resolve) => session.close(resolve));

// WebSockets: text, bytes, a long message, and an orderly end.
const socket = new WebSocket(`${url.replace("http", "ws")}/live`);
socket.binaryType = "arraybuffer";
const next = () => new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data), { once: true }));
await new Promise((resolve, reject) => {
  socket.addEventListener("open", resolve, { once: true });
  socket.addEventListener("error", reject, { once: true });
});
for (const message of ["hello", "\u{1f980}", "x".repeat(60_000)]) {
  const answer = next();
  socket.send(message);
  assert.equal(await answer, message);
}
const answer = next();
socket.send(new Uint8Array([0, 255, 1]));
assert.deepEqual(new Uint8Array(await answer), new Uint8Array([0, 255, 1]));
const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
socket.close(1000, "done");
const { code, wasClean } = await closed;
assert.deepEqual({ code, wasClean }, { code: 1000, wasClean: true });
