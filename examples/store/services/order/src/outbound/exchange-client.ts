/** The exchange service, translated into the words of an order. */

import { Rate } from "../domain/money.js";
import type { Caller, Exchange, Quote } from "../domain/ports.js";
import { type Peer, Unavailable, ask } from "./ask.js";

export class ExchangeClient implements Exchange {
  constructor(private readonly peer: Peer) {}

  /** Who pays in another currency buys ours from the house, at the rate at which it sells. */
  async quote(from: string, to: string, caller: Caller): Promise<Quote | undefined> {
    const answer = await ask(this.peer, `/exchanges/${from}/${to}`, caller);
    return answer === undefined ? undefined : this.read(answer);
  }

  private read(answer: unknown): Quote {
    try {
      const { sell, date } = answer as Record<"sell" | "date", string>;
      return { rate: Rate.parse(sell), written: sell, date };
    } catch (error) {
      throw new Unavailable(this.peer.name, error);
    }
  }
}
