import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";

import { Money } from "../src/domain/money.js";
import type { Order } from "../src/domain/order.js";
import { SqliteOrders } from "../src/outbound/sqlite-orders.js";

function order(id: string, customer: string): Order {
  const unitPrice = Money.parse("12.50");
  const lines = [{ product: "p-1", name: "Coffee", unit: "kg", quantity: 2, unitPrice }];
  return { id, customer, currency: "USD", lines, placedAt: new Date("2026-01-02T03:04:05.678Z") };
}

/** Two generations of the service, over one file. */
function twoGenerations(context: TestContext): [SqliteOrders, SqliteOrders] {
  const folder = mkdtempSync(join(tmpdir(), "orders-"));
  const generations = [1, 2].map(() => new SqliteOrders(join(folder, "order.db"))) as [SqliteOrders, SqliteOrders];
  context.after(() => {
    generations.forEach((orders) => orders.close());
    rmSync(folder, { recursive: true });
  });
  return generations;
}

test("what one generation keeps, the other one finds", (context) => {
  const [old, fresh] = twoGenerations(context);
  old.place(order("1", "ana"), undefined);
  fresh.place(order("2", "ana"), undefined);
  assert.deepEqual(fresh.find("ana", "1"), order("1", "ana"));
  assert.deepEqual(old.list("ana").map(({ id }) => id), ["2", "1"]);
});

test("nobody finds somebody else's order", (context) => {
  const [orders] = twoGenerations(context);
  orders.place(order("1", "ana"), { key: "k", fingerprint: "f" });
  assert.equal(orders.find("rui", "1"), undefined);
  assert.deepEqual(orders.list("rui"), []);
  assert.equal(orders.findByKey("rui", "k"), undefined);
});

test("a key keeps one order, whichever generation is asked second", (context) => {
  const [old, fresh] = twoGenerations(context);
  old.place(order("1", "ana"), { key: "k", fingerprint: "f" });
  const kept = fresh.place(order("2", "ana"), { key: "k", fingerprint: "g" });
  assert.deepEqual(kept, { order: order("1", "ana"), fingerprint: "f" });
  assert.equal(fresh.find("ana", "2"), undefined);
});
