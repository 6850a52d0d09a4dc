// Starts the service: settings, store, HTTP, until it is asked to stop.

import type { AddressInfo } from "node:net";

import { createApplication } from "./application.ts";
import { readSettings } from "./settings.ts";
import { Store } from "./store.ts";

// How long requests that are being handled may take after the service was asked to stop.
const GRACE_MS = 5_000;

const settings = readSettings(process.env);
const application = createApplication(new Store(settings.databaseUrl), settings);
const log = application.log;

async function stop(): Promise<void> {
  log.info("stopping");
  const outOfPatience = setTimeout(() => {
    log.warn("requests were cut off");
    process.exit(0);
  }, GRACE_MS);
  await application.close();
  clearTimeout(outOfPatience);
  log.info("stopped");
}

process.once("SIGTERM", () => void stop());
process.once("SIGINT", () => void stop());

await application.listen({ host: settings.host, port: settings.port });
log.info({ port: (application.server.address() as AddressInfo).port }, "listening");
