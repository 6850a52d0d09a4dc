/** What an order costs in another currency, today. */

import { InvalidRequest } from "../domain/fault.js";
import type { Money } from "../domain/money.js";
import { type Order, totalOf } from "../domain/order.js";
import type { Caller, Exchange } from "../domain/ports.js";

export interface Conversion {
  readonly currency: string;
  readonly total: Money;
  readonly rate: string;
  readonly date: string;
}

export async function convertOrder(
  order: Order,
  currency: string,
  exchange: Exchange,
  caller: Caller,
): Promise<Conversion> {
  if (!/^[A-Z]{3}$/.test(currency)) {
    throw new InvalidRequest([{ field: "currency", message: "must be three capital letters, such as USD" }]);
  }
  const quote = await exchange.quote(order.currency, currency, caller);
  if (quote === undefined) {
    throw new InvalidRequest([{ field: "currency", message: `nobody trades ${currency}` }]);
  }
  return { currency, total: totalOf(order).at(quote.rate), rate: quote.written, date: quote.date };
}
