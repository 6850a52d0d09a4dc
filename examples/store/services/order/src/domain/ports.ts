/** What an order needs from the world. The adapters are in `outbound`. */

import type { Rate } from "./money.js";
import type { Order, Product } from "./order.js";

/** For whom something is done; passed on to the services that are asked on the way. */
export interface Caller {
  readonly id: string;
  readonly authorization: string | undefined;
  readonly requestId: string;
}

/** An order is placed once for a key; `fingerprint` tells whether the same thing was asked for. */
export interface IdempotencyKey {
  readonly key: string;
  readonly fingerprint: string;
}

export interface KeptOrder {
  readonly order: Order;
  readonly fingerprint: string | undefined;
}

export interface Orders {
  /** Keeps the order, unless one was kept for the same key before. What is kept is the answer. */
  place(order: Order, once: IdempotencyKey | undefined): KeptOrder;
  find(customer: string, id: string): Order | undefined;
  /** Newest first. */
  list(customer: string): Order[];
  findByKey(customer: string, key: string): KeptOrder | undefined;
}

export interface Catalogue {
  find(id: string, caller: Caller): Promise<Product | undefined>;
}

export interface Quote {
  readonly rate: Rate;
  readonly written: string;
  readonly date: string;
}

export interface Exchange {
  /** `undefined` for a currency that nobody trades. */
  quote(from: string, to: string, caller: Caller): Promise<Quote | undefined>;
}
