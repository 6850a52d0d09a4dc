// What is kept, and for whom.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { createItem } from "../src/domain.ts";
import { Store } from "../src/store.ts";

let folder: string;
let url: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "store-"));
  url = `sqlite://${folder}/items.db`;
});

afterEach(() => rmSync(folder, { recursive: true }));

test("what was kept is there after a restart", () => {
  const tea = createItem({ name: "tea", note: "green" });
  const before = new Store(url);
  before.insert("alice", tea);
  before.close();

  const after = new Store(url);
  assert.deepEqual(after.find("alice", tea.id), tea);
  after.close();
});

test("two versions of the service share a file while one replaces the other", () => {
  const [older, newer] = [new Store(url), new Store(url)];
  older.insert("alice", createItem({ name: "tea" }));
  newer.insert("alice", createItem({ name: "milk" }));
  assert.equal(older.list("alice").length, 2);
  older.close();
  newer.close();
});

test("a lock that a killed process left behind is no obstacle", () => {
  const longAgo = new Date(Date.now() - 60_000);
  mkdirSync(`${folder}/items.db.lock`);
  utimesSync(`${folder}/items.db.lock`, longAgo, longAgo);
  const store = new Store(url);
  store.insert("alice", createItem({ name: "tea" }));
  store.close();
});

test("nobody reaches what is someone else's", () => {
  const store = new Store();
  const tea = createItem({ name: "tea" });
  store.insert("alice", tea);
  assert.deepEqual(store.list("bob"), []);
  assert.equal(store.find("bob", tea.id), undefined);
  assert.equal(store.delete("bob", tea.id), false);
  assert.deepEqual(store.list("alice"), [tea]);
  store.close();
});

test("an address that is no SQLite file is refused", () => {
  for (const bad of ["postgres://host/db", "sqlite://relative.db", "/data/items.db"]) {
    assert.throws(() => new Store(bad), /DATABASE_URL/);
  }
});
