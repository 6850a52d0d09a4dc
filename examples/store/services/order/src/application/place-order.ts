/** Places an order for the caller, once for each idempotency key. */

import { createHash, randomUUID } from "node:crypto";

import type { Draft } from "../domain/draft.js";
import { InvalidRequest } from "../domain/fault.js";
import { type Order, type Product, priceLines } from "../domain/order.js";
import type { Caller, Catalogue, IdempotencyKey, KeptOrder, Orders } from "../domain/ports.js";

export interface PlaceOrder {
  readonly draft: Draft;
  readonly caller: Caller;
  readonly key: string | undefined;
}

export interface Placed {
  readonly order: Order;
  /** Whether this request placed it, or an earlier one with the same key. */
  readonly isNew: boolean;
}

export class Placing {
  constructor(
    private readonly orders: Orders,
    private readonly catalogue: Catalogue,
    private readonly currency: string,
  ) {}

  async place({ draft, caller, key }: PlaceOrder): Promise<Placed> {
    const once = key === undefined ? undefined : { key, fingerprint: fingerprintOf(draft) };
    const known = once && this.orders.findByKey(caller.id, once.key);
    if (known !== undefined) {
      return replay(known, once);
    }
    const order = await this.price(draft, caller);
    // The same request may have come in again while we asked for prices, here or at another replica.
    // The store decides which one was first.
    const kept = this.orders.place(order, once);
    return kept.order.id === order.id ? { order, isNew: true } : replay(kept, once);
  }

  private async price(draft: Draft, caller: Caller): Promise<Order> {
    const lines = priceLines(draft, await this.productsOf(draft, caller));
    return { id: randomUUID(), customer: caller.id, currency: this.currency, lines, placedAt: new Date() };
  }

  private async productsOf(draft: Draft, caller: Caller): Promise<Map<string, Product>> {
    const ids = [...new Set(draft.items.map((item) => item.product))];
    const found = await Promise.all(ids.map((id) => this.catalogue.find(id, caller)));
    return new Map(found.filter((product) => product !== undefined).map((product) => [product.id, product]));
  }
}

function replay(kept: KeptOrder, once: IdempotencyKey | undefined): Placed {
  if (kept.fingerprint !== once?.fingerprint) {
    throw new InvalidRequest([{ field: "Idempotency-Key", message: "was used for another order" }]);
  }
  return { order: kept.order, isNew: false };
}

function fingerprintOf(draft: Draft): string {
  return createHash("sha256").update(JSON.stringify(draft)).digest("hex");
}
