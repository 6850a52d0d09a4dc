/** The product service, translated into the words of an order. */

import { Money } from "../domain/money.js";
import type { Product } from "../domain/order.js";
import type { Caller, Catalogue } from "../domain/ports.js";
import { type Peer, Unavailable, ask } from "./ask.js";

export class ProductClient implements Catalogue {
  constructor(private readonly peer: Peer) {}

  async find(id: string, caller: Caller): Promise<Product | undefined> {
    const answer = await ask(this.peer, `/products/${id}`, caller);
    return answer === undefined ? undefined : this.read(answer);
  }

  private read(answer: unknown): Product {
    try {
      const { id, name, unit, price } = answer as Record<"id" | "name" | "unit" | "price", string>;
      return { id, name, unit, price: Money.parse(price) };
    } catch (error) {
      throw new Unavailable(this.peer.name, error);
    }
  }
}
