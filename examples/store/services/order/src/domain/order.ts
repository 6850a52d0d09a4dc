/** The order itself: what somebody bought, at the prices of that moment. */

import type { Draft } from "./draft.js";
import { type Fault, InvalidRequest } from "./fault.js";
import { Money } from "./money.js";

/** What the product service knows of something that is for sale. */
export interface Product {
  readonly id: string;
  readonly name: string;
  readonly unit: string;
  readonly price: Money;
}

export interface Line {
  readonly product: string;
  readonly name: string;
  readonly unit: string;
  readonly quantity: number;
  readonly unitPrice: Money;
}

export interface Order {
  readonly id: string;
  readonly customer: string;
  readonly currency: string;
  readonly lines: readonly Line[];
  readonly placedAt: Date;
}

/** Copies names and prices into the lines, so that an order stays what it was when it was placed. */
export function priceLines(draft: Draft, products: ReadonlyMap<string, Product>): Line[] {
  const faults: Fault[] = [];
  const lines: Line[] = [];
  for (const [index, { product: id, quantity }] of draft.items.entries()) {
    const product = products.get(id);
    if (product === undefined) {
      faults.push({ field: `items[${index}].product`, message: `there is no product ${id}` });
    } else {
      lines.push({ product: id, name: product.name, unit: product.unit, quantity, unitPrice: product.price });
    }
  }
  if (faults.length > 0) {
    throw new InvalidRequest(faults);
  }
  return lines;
}

export function subtotalOf(line: Line): Money {
  return line.unitPrice.times(line.quantity);
}

export function totalOf(order: Order): Money {
  return order.lines.reduce((total, line) => total.plus(subtotalOf(line)), Money.zero);
}
