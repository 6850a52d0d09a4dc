// Keeps items in SQLite, each for its owner alone: every statement names the owner.

import { openDatabase, type Database } from "./database.ts";
import type { Item } from "./domain.ts";

// The longest list that is given out at once.
const MAX_LISTED = 200;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS items (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    note       TEXT NOT NULL,
    created_at TEXT NOT NULL -- RFC 3339, UTC
  );
  CREATE INDEX IF NOT EXISTS items_by_owner ON items (owner, created_at);
`;

const SELECT = "SELECT id, name, note, created_at FROM items WHERE owner = ?";

export class Store {
  readonly #database: Database;

  /** Opens the file that `url` names; without one, everything is kept in memory only. */
  constructor(url?: string) {
    this.#database = openDatabase(url === undefined ? undefined : pathOf(url));
    this.#database.exec(SCHEMA);
  }

  insert(owner: string, item: Item): void {
    const { id, name, note, created_at } = item;
    this.#database.run(
      "INSERT INTO items VALUES (?, ?, ?, ?, ?)",
      id,
      owner,
      name,
      note,
      created_at,
    );
  }

  /** The owner's items, the newest first. */
  list(owner: string): Item[] {
    const sql = `${SELECT} ORDER BY created_at DESC, rowid DESC LIMIT ${MAX_LISTED}`;
    return this.#query(sql, owner);
  }

  find(owner: string, id: string): Item | undefined {
    return this.#query(`${SELECT} AND id = ?`, owner, id)[0];
  }

  /** Says whether there was such an item. */
  delete(owner: string, id: string): boolean {
    return this.#database.run("DELETE FROM items WHERE owner = ? AND id = ?", owner, id) > 0;
  }

  /** Throws when the database does not answer. */
  check(): void {
    this.#database.all("SELECT count(*) FROM items");
  }

  close(): void {
    this.#database.close();
  }

  #query(sql: string, ...values: string[]): Item[] {
    // The columns of the table are the fields of an item.
    return this.#database.all(sql, ...values).map((row) => ({ ...row }) as unknown as Item);
  }
}

// `sqlite:///data/orders.db` is the file `/data/orders.db`.
function pathOf(url: string): string {
  if (!url.startsWith("sqlite:///")) {
    throw new Error(`DATABASE_URL is ${url}, which is not like sqlite:///data/orders.db`);
  }
  return url.slice("sqlite://".length);
}
