/** Reads the settings, opens the store, and serves until it is asked to stop. */

import { Placing } from "./application/place-order.js";
import { makeServer } from "./http/server.js";
import { TIMEOUT_MS } from "./outbound/ask.js";
import { ExchangeClient } from "./outbound/exchange-client.js";
import { ProductClient } from "./outbound/product-client.js";
import { SqliteOrders } from "./outbound/sqlite-orders.js";
import { readSettings } from "./settings.js";

const settings = readSettings(process.env);
const orders = await SqliteOrders.open(settings.database);
const catalogue = new ProductClient({ name: "product", url: settings.productUrl, timeoutMs: TIMEOUT_MS });
const exchange = new ExchangeClient({ name: "exchange", url: settings.exchangeUrl, timeoutMs: TIMEOUT_MS });
const placing = new Placing(orders, catalogue, settings.currency);
const server = makeServer(settings, { orders, placing, exchange, check: () => orders.check() });

async function stop(): Promise<void> {
  // Waits for the requests under way, then there is nothing left that keeps the process alive.
  await server.close();
  orders.close();
  server.log.info("stopped");
}

process.once("SIGTERM", () => void stop());
process.once("SIGINT", () => void stop());

await server.listen({ host: settings.host, port: settings.port });
server.log.info({ generation: settings.generation }, "listening");
