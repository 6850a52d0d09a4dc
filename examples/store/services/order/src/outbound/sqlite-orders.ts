/** Orders in SQLite. Knows SQL, and nothing of HTTP. */

import Database from "libsql";

import { Money } from "../domain/money.js";
import type { Line, Order } from "../domain/order.js";
import type { IdempotencyKey, KeptOrder, Orders } from "../domain/ports.js";

/** How long a write waits for the service's other generation, which has the same file open during a redeploy. */
const PATIENCE_MS = 5_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS placed_order (
    id        TEXT PRIMARY KEY,
    customer  TEXT NOT NULL,
    currency  TEXT NOT NULL,
    lines     TEXT NOT NULL CHECK (json_valid(lines)),
    placed_at TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS placed_order_by_customer ON placed_order (customer, placed_at);
  CREATE TABLE IF NOT EXISTS idempotency_key (
    customer    TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    order_id    TEXT NOT NULL REFERENCES placed_order (id),
    PRIMARY KEY (customer, key)
  ) STRICT, WITHOUT ROWID;`;

interface OrderRow {
  readonly id: string;
  readonly customer: string;
  readonly currency: string;
  readonly lines: string;
  readonly placed_at: string;
}

interface StoredLine extends Omit<Line, "unitPrice"> {
  readonly unitPriceCents: string;
}

export class SqliteOrders implements Orders {
  private readonly database: Database.Database;

  constructor(file: string) {
    this.database = new Database(file, { timeout: PATIENCE_MS });
    this.database.pragma("journal_mode = WAL");
    this.database.exec(SCHEMA);
  }

  place(order: Order, once: IdempotencyKey | undefined): KeptOrder {
    const decide = this.database.transaction((): KeptOrder => {
      const known = once && this.findByKey(order.customer, once.key);
      if (known !== undefined) {
        return known;
      }
      this.insertOrder(order);
      this.insertKey(order, once);
      return { order, fingerprint: once?.fingerprint };
    });
    // Immediate: nobody writes between our look at the key and our own write.
    return decide.immediate();
  }

  find(customer: string, id: string): Order | undefined {
    const select = this.database.prepare("SELECT * FROM placed_order WHERE customer = ? AND id = ?");
    const row = select.get(customer, id) as OrderRow | undefined;
    return row && orderOf(row);
  }

  list(customer: string): Order[] {
    const select = this.database.prepare(
      "SELECT * FROM placed_order WHERE customer = ? ORDER BY placed_at DESC, rowid DESC LIMIT 100",
    );
    return (select.all(customer) as OrderRow[]).map(orderOf);
  }

  findByKey(customer: string, key: string): KeptOrder | undefined {
    const select = this.database.prepare(
      `SELECT placed_order.*, fingerprint FROM idempotency_key
       JOIN placed_order ON placed_order.id = order_id WHERE idempotency_key.customer = ? AND key = ?`,
    );
    const row = select.get(customer, key) as (OrderRow & { fingerprint: string }) | undefined;
    return row && { order: orderOf(row), fingerprint: row.fingerprint };
  }

  /** Throws when the database cannot be read. */
  check(): void {
    this.database.prepare("SELECT count(*) FROM placed_order").get();
  }

  close(): void {
    this.database.close();
  }

  private insertKey(order: Order, once: IdempotencyKey | undefined): void {
    if (once !== undefined) {
      this.database
        .prepare("INSERT INTO idempotency_key (customer, key, fingerprint, order_id) VALUES (?, ?, ?, ?)")
        .run(order.customer, once.key, once.fingerprint, order.id);
    }
  }

  private insertOrder({ id, customer, currency, lines, placedAt }: Order): void {
    this.database
      .prepare("INSERT INTO placed_order (id, customer, currency, lines, placed_at) VALUES (?, ?, ?, ?, ?)")
      .run(id, customer, currency, JSON.stringify(lines.map(storedLine)), placedAt.toISOString());
  }
}

function storedLine({ unitPrice, ...line }: Line): StoredLine {
  return { ...line, unitPriceCents: unitPrice.cents.toString() };
}

function orderOf(row: OrderRow): Order {
  const { id, customer, currency } = row;
  const lines = (JSON.parse(row.lines) as StoredLine[]).map(({ unitPriceCents, ...line }) => ({
    ...line,
    unitPrice: Money.ofCents(BigInt(unitPriceCents)),
  }));
  return { id, customer, currency, lines, placedAt: new Date(row.placed_at) };
}
