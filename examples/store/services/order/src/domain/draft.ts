/** What somebody wants to buy, before it is priced. */

import { type Fault, InvalidRequest } from "./fault.js";

export interface DraftItem {
  readonly product: string;
  readonly quantity: number;
}

export interface Draft {
  readonly items: readonly DraftItem[];
}

const MOST_ITEMS = 50;
const MOST_OF_ONE = 999;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads the body of a request, and says everything that is wrong with it at once. */
export function readDraft(body: unknown): Draft {
  const items = fieldOf(body, "items");
  if (!Array.isArray(items) || items.length < 1 || items.length > MOST_ITEMS) {
    throw new InvalidRequest([{ field: "items", message: `must be a list of 1 to ${MOST_ITEMS} items` }]);
  }
  const faults = items.flatMap(faultsOfItem);
  if (faults.length > 0) {
    throw new InvalidRequest(faults);
  }
  return { items: items.map(({ product, quantity }: DraftItem) => ({ product, quantity })) };
}

function faultsOfItem(item: unknown, index: number): Fault[] {
  const faults: Fault[] = [];
  const product = fieldOf(item, "product");
  if (typeof product !== "string" || !UUID.test(product)) {
    faults.push({ field: `items[${index}].product`, message: "must be a product's id" });
  }
  const quantity = fieldOf(item, "quantity");
  if (!Number.isInteger(quantity) || Number(quantity) < 1 || Number(quantity) > MOST_OF_ONE) {
    faults.push({ field: `items[${index}].quantity`, message: `must be a whole number from 1 to ${MOST_OF_ONE}` });
  }
  return faults;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
