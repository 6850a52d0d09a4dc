import assert from "node:assert/strict";
import { test } from "node:test";

import { readDraft } from "../src/domain/draft.js";
import { InvalidRequest } from "../src/domain/fault.js";

const COFFEE = "0192f0c1-2b7e-7000-8000-000000000001";

function faultsOf(body: unknown): string[] {
  try {
    readDraft(body);
    return [];
  } catch (error) {
    assert.ok(error instanceof InvalidRequest);
    return error.faults.map(({ field }) => field);
  }
}

test("a draft keeps what was asked for and nothing else", () => {
  const body = { items: [{ product: COFFEE, quantity: 2, price: "0.01" }], total: "0.01" };
  assert.deepEqual(readDraft(body), { items: [{ product: COFFEE, quantity: 2 }] });
});

test("a body without items is refused", () => {
  for (const body of [undefined, null, "items", [], {}, { items: [] }, { items: {} }]) {
    assert.deepEqual(faultsOf(body), ["items"], JSON.stringify(body));
  }
  assert.deepEqual(faultsOf({ items: Array(51).fill({ product: COFFEE, quantity: 1 }) }), ["items"]);
});

test("everything wrong with the items is said at once", () => {
  const items = [{ product: COFFEE, quantity: 0 }, null, { product: "../orders", quantity: 1.5 }];
  assert.deepEqual(faultsOf({ items }), [
    "items[0].quantity",
    "items[1].product",
    "items[1].quantity",
    "items[2].product",
    "items[2].quantity",
  ]);
});
