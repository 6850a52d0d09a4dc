/** What the platform tells this service through its environment, read once. */

export interface Settings {
  readonly service: string;
  readonly generation: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly productUrl: string;
  readonly exchangeUrl: string;
  readonly currency: string;
  readonly logLevel: string;
}

const LEVELS = ["debug", "info", "warn", "error"];

/** Every variable has a default that suits a developer who starts the program by hand. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const level = environment["LOG_LEVEL"]?.toLowerCase() ?? "info";
  return {
    service: environment["SERVICE_NAME"] ?? "order",
    generation: environment["SERVICE_GENERATION"] ?? "0",
    host: environment["HOST"] ?? "0.0.0.0",
    port: Number(environment["PORT"] ?? 8080),
    database: fileOf(environment["DATABASE_URL"] ?? "sqlite:order.db"),
    productUrl: environment["PRODUCT_URL"] ?? "http://127.0.0.1:8081",
    exchangeUrl: environment["EXCHANGE_URL"] ?? "http://127.0.0.1:8082",
    currency: environment["CURRENCY"] ?? "USD",
    logLevel: LEVELS.includes(level) ? level : "info",
  };
}

/** `sqlite:///data/order.db` is the absolute `/data/order.db`, `sqlite:order.db` is relative. */
function fileOf(url: string): string {
  return url.replace(/^sqlite:(\/\/)?/, "");
}
