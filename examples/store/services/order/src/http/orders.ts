/** `/orders` and `/orders/{id}`: one's own, always. */

import type { FastifyInstance, FastifyRequest } from "fastify";

import { type Conversion, convertOrder } from "../application/convert-order.js";
import type { Placing } from "../application/place-order.js";
import { readDraft } from "../domain/draft.js";
import { InvalidRequest } from "../domain/fault.js";
import { type Order, subtotalOf, totalOf } from "../domain/order.js";
import type { Exchange, Orders } from "../domain/ports.js";
import { callerOf } from "./caller.js";
import { Problem } from "./problem.js";

export interface OrderParts {
  readonly orders: Orders;
  readonly placing: Placing;
  readonly exchange: Exchange;
}

interface OneOrder {
  Params: { id: string };
  Querystring: { currency?: string | string[] };
}

export function orderRoutes({ orders, placing, exchange }: OrderParts) {
  return async (server: FastifyInstance): Promise<void> => {
    server.post("/", async (request, reply) => {
      const caller = callerOf(request);
      const placed = await placing.place({ draft: readDraft(request.body), caller, key: keyOf(request) });
      void reply.status(201).header("location", `/orders/${placed.order.id}`);
      if (!placed.isNew) {
        void reply.header("idempotency-replayed", "true");
      }
      return viewOf(placed.order);
    });

    server.get("/", async (request) => ({ items: orders.list(callerOf(request).id).map((order) => viewOf(order)) }));

    server.get<OneOrder>("/:id", async (request) => {
      const caller = callerOf(request);
      const order = orders.find(caller.id, request.params.id);
      if (order === undefined) {
        throw Problem.notFound();
      }
      const { currency } = request.query;
      return viewOf(order, currency && (await convertOrder(order, String(currency), exchange, caller)));
    });
  };
}

function keyOf(request: FastifyRequest): string | undefined {
  const key = request.headers["idempotency-key"];
  if (key === undefined) {
    return undefined;
  }
  if (typeof key !== "string" || !/^[\x21-\x7e]{1,128}$/.test(key)) {
    throw new InvalidRequest([{ field: "Idempotency-Key", message: "must have 1 to 128 visible characters" }]);
  }
  return key;
}

function viewOf(order: Order, conversion?: Conversion | "" | undefined): object {
  return {
    id: order.id,
    placed_at: order.placedAt.toISOString(),
    currency: order.currency,
    total: totalOf(order).toString(),
    items: order.lines.map((line) => ({
      product: line.product,
      name: line.name,
      unit: line.unit,
      quantity: line.quantity,
      unit_price: line.unitPrice.toString(),
      subtotal: subtotalOf(line).toString(),
    })),
    ...(conversion && { converted: { ...conversion, total: conversion.total.toString() } }),
  };
}
