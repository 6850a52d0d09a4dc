// SQLite, whichever there is: the one in Node 22, or a build of it in WebAssembly before that.

import { rmdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";

// While one version of the service replaces another, both have the file open.
const BUSY_TIMEOUT_MS = 2_000;

// Loads what only some need, at the moment when they do.
const require = createRequire(import.meta.url);

export type Row = Record<string, unknown>;

export interface Database {
  exec(sql: string): void;
  /** The number of rows that changed. */
  run(sql: string, ...values: string[]): number;
  all(sql: string, ...values: string[]): Row[];
  close(): void;
}

/** Opens the file at `path`, or a database in memory. */
export function openDatabase(path: string | undefined): Database {
  const native = process.getBuiltinModule("node:sqlite");
  const database = native ? openNative(native, path) : openWasm(path);
  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return database;
}

function openNative(sqlite: typeof import("node:sqlite"), path: string | undefined): Database {
  const database = new sqlite.DatabaseSync(path ?? ":memory:");
  return {
    exec: (sql) => database.exec(sql),
    run: (sql, ...values) => Number(database.prepare(sql).run(...values).changes),
    all: (sql, ...values) => database.prepare(sql).all(...values),
    close: () => database.close(),
  };
}

function openWasm(path: string | undefined): Database {
  if (path !== undefined) {
    removeStaleLock(path);
  }
  const wasm = require("node-sqlite3-wasm") as typeof import("node-sqlite3-wasm");
  const database = new wasm.Database(path);
  return {
    exec: (sql) => database.exec(sql),
    run: (sql, ...values) => database.run(sql, values).changes,
    all: (sql, ...values) => database.all(sql, values),
    close: () => database.close(),
  };
}

// This SQLite locks a file by a folder beside it, which outlives a process that was killed while it
// wrote. No statement takes as long as a second one waits, so a folder of that age is nobody's.
function removeStaleLock(path: string): void {
  const lock = `${path}.lock`;
  const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
  if (age > BUSY_TIMEOUT_MS) {
    rmdirSync(lock);
  }
}
