/** The service as its clients see it, with the services that it calls played by fakes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Placing } from "../src/application/place-order.js";
import { Money, Rate } from "../src/domain/money.js";
import type { Catalogue, Exchange } from "../src/domain/ports.js";
import { makeServer } from "../src/http/server.js";
import { Unavailable } from "../src/outbound/ask.js";
import { SqliteOrders } from "../src/outbound/sqlite-orders.js";
import { readSettings } from "../src/settings.js";

const COFFEE = "0192f0c1-2b7e-7000-8000-000000000001";
const MISSING = "0192f0c1-2b7e-7000-8000-000000000002";
const TWO_COFFEES = { items: [{ product: COFFEE, quantity: 2 }] };

const catalogue: Catalogue = {
  async find(id) {
    return id === COFFEE ? { id, name: "Coffee", unit: "kg", price: Money.parse("12.50") } : undefined;
  },
};
const silentCatalogue: Catalogue = {
  async find() {
    throw new Unavailable("product", new Error("connect ECONNREFUSED"));
  },
};
const exchange: Exchange = {
  async quote(from, to) {
    assert.equal(from, "USD");
    return to === "BRL" ? { rate: Rate.parse("5.454"), written: "5.454", date: "2026-01-02" } : undefined;
  },
};

function openShop(products = catalogue) {
  const orders = new SqliteOrders(":memory:");
  const placing = new Placing(orders, products, "USD");
  const check = () => orders.check();
  const server = makeServer(readSettings({ LOG_LEVEL: "error" }), { orders, placing, exchange, check });
  const ask = async (who: string, method: "GET" | "POST", url: string, payload?: object, headers: object = {}) => {
    const identity = who === "" ? {} : { "x-user-id": who };
    const response = await server.inject({
      method,
      url,
      ...(payload && { payload }),
      headers: { "x-request-id": "r-1", ...identity, ...headers },
    });
    return { status: response.statusCode, headers: response.headers, body: response.json() };
  };
  return { ask, orders };
}

test("an order is placed, found and listed, with prices of its own", async () => {
  const { ask } = openShop();
  const placed = await ask("ana", "POST", "/orders", TWO_COFFEES);
  assert.equal(placed.status, 201);
  assert.equal(placed.headers.location, `/orders/${placed.body.id}`);
  assert.equal(placed.body.total, "25.00");
  assert.deepEqual(placed.body.items, [
    { product: COFFEE, name: "Coffee", unit: "kg", quantity: 2, unit_price: "12.50", subtotal: "25.00" },
  ]);
  assert.deepEqual((await ask("ana", "GET", `/orders/${placed.body.id}`)).body, placed.body);
  assert.deepEqual((await ask("ana", "GET", "/orders")).body, { items: [placed.body] });
});

test("somebody else's order looks like none", async () => {
  const { ask } = openShop();
  const { body } = await ask("ana", "POST", "/orders", TWO_COFFEES);
  const theirs = await ask("rui", "GET", `/orders/${body.id}`);
  const none = await ask("rui", "GET", "/orders/none");
  assert.equal(theirs.status, 404);
  assert.deepEqual(theirs.body, none.body);
  assert.deepEqual((await ask("rui", "GET", "/orders")).body, { items: [] });
});

test("a product that is not for sale is named", async () => {
  const items = [...TWO_COFFEES.items, { product: MISSING, quantity: 1 }];
  const answer = await openShop().ask("ana", "POST", "/orders", { items });
  assert.equal(answer.status, 422);
  assert.match(String(answer.headers["content-type"]), /^application\/problem\+json/);
  assert.deepEqual(answer.body.errors, [
    { field: "items[1].product", message: `there is no product ${MISSING}` },
  ]);
});

test("without the product service there is a problem that says so, and may be tried again", async () => {
  const { ask } = openShop(silentCatalogue);
  const answer = await ask("ana", "POST", "/orders", TWO_COFFEES);
  assert.equal(answer.status, 503);
  assert.equal(answer.headers["retry-after"], "1");
  assert.deepEqual(answer.body, {
    type: "about:blank",
    title: "Service Unavailable",
    status: 503,
    detail: "the product service does not answer",
    code: "product_unavailable",
    request_id: "r-1",
    retryable: true,
  });
  assert.deepEqual((await ask("ana", "GET", "/orders")).body, { items: [] });
});

test("the same key and body place one order, however often and however fast", async () => {
  const { ask } = openShop();
  const place = () => ask("ana", "POST", "/orders", TWO_COFFEES, { "idempotency-key": "k-1" });
  const answers = await Promise.all([place(), place(), place()]);
  const again = await place();
  assert.deepEqual(new Set([...answers, again].map(({ status }) => status)), new Set([201]));
  assert.equal(new Set([...answers, again].map(({ body }) => body.id)).size, 1);
  assert.equal(again.headers["idempotency-replayed"], "true");
  assert.equal((await ask("ana", "GET", "/orders")).body.items.length, 1);
});

test("a key belongs to its caller and to one body", async () => {
  const { ask } = openShop();
  const headers = { "idempotency-key": "k-1" };
  const first = await ask("ana", "POST", "/orders", TWO_COFFEES, headers);
  const three = { items: [{ product: COFFEE, quantity: 3 }] };
  const other = await ask("ana", "POST", "/orders", three, headers);
  assert.equal(other.status, 422);
  assert.equal(other.body.errors[0].field, "Idempotency-Key");
  const theirs = await ask("rui", "POST", "/orders", three, headers);
  assert.equal(theirs.status, 201);
  assert.notEqual(theirs.body.id, first.body.id);
});

test("a key that nobody could write down is refused", async () => {
  const answer = await openShop().ask("ana", "POST", "/orders", TWO_COFFEES, { "idempotency-key": "x".repeat(129) });
  assert.equal(answer.status, 422);
});

test("an order is shown in another currency, at today's rate", async () => {
  const { ask } = openShop();
  const { body } = await ask("ana", "POST", "/orders", TWO_COFFEES);
  const converted = await ask("ana", "GET", `/orders/${body.id}?currency=BRL`);
  assert.deepEqual(converted.body, {
    ...body,
    converted: { currency: "BRL", total: "136.35", rate: "5.454", date: "2026-01-02" },
  });
});

test("a currency that nobody trades is refused, and so is what is none", async () => {
  const { ask } = openShop();
  const { body } = await ask("ana", "POST", "/orders", TWO_COFFEES);
  for (const currency of ["JPY", "reais", "..%2F..", "BRL&currency=USD"]) {
    const answer = await ask("ana", "GET", `/orders/${body.id}?currency=${currency}`);
    assert.equal(answer.status, 422, currency);
    assert.equal(answer.body.errors[0].field, "currency");
  }
});

test("a browser's token, which came in a cookie, is shown to other services in the header", async () => {
  const seen: (string | undefined)[] = [];
  const { ask } = openShop({
    async find(id, caller) {
      seen.push(caller.authorization);
      return catalogue.find(id, caller);
    },
  });
  await ask("ana", "POST", "/orders", TWO_COFFEES, { cookie: "a=b; access_token=t-1" });
  await ask("ana", "POST", "/orders", TWO_COFFEES, { cookie: "access_token=t-1", authorization: "Bearer t-2" });
  await ask("ana", "POST", "/orders", TWO_COFFEES);
  assert.deepEqual(seen, ["Bearer t-1", "Bearer t-2", undefined]);
});

test("a caller without identity is nobody", async () => {
  const answer = await openShop().ask("", "GET", "/orders");
  assert.equal(answer.status, 401);
  assert.equal(answer.headers["x-request-id"], "r-1");
});

test("what cannot be read is a problem too", async () => {
  const { ask } = openShop();
  assert.equal((await ask("ana", "GET", "/ordersx")).status, 404);
  assert.equal((await ask("ana", "POST", "/orders")).status, 422);
  const csv = { "content-type": "text/csv" };
  assert.equal((await ask("ana", "POST", "/orders", Buffer.from("a,b"), csv)).status, 415);
  const json = { "content-type": "application/json" };
  assert.equal((await ask("ana", "POST", "/orders", Buffer.from("{"), json)).status, 400);
});

test("health needs no identity", async () => {
  const { ask } = openShop();
  for (const path of ["/health/live", "/health/ready"]) {
    assert.equal((await ask("", "GET", path)).status, 200, path);
  }
});

test("a service whose database is gone lives, and is not ready", async () => {
  const { ask, orders } = openShop();
  orders.close();
  assert.equal((await ask("", "GET", "/health/live")).status, 200);
  const ready = await ask("", "GET", "/health/ready");
  assert.deepEqual([ready.status, ready.body.code], [503, "not_ready"]);
});
