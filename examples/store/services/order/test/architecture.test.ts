/** The domain knows neither the web nor the database; the application knows neither adapter. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const RULES = {
  domain: ["fastify", "libsql", "../application/", "../http/", "../outbound/", "node:"],
  application: ["fastify", "libsql", "../http/", "../outbound/"],
};

for (const [room, foreign] of Object.entries(RULES)) {
  test(`the ${room} imports none of ${foreign.join(", ")}`, () => {
    const folder = join(import.meta.dirname, "..", "..", "src", room);
    const files = readdirSync(folder);
    assert.ok(files.length > 0);
    for (const file of files) {
      const imports = readFileSync(join(folder, file), "utf8").match(/from "[^"]+"/g) ?? [];
      const wrong = imports.filter((line) => foreign.some((name) => line.includes(`"${name}`)));
      assert.deepEqual(wrong, [], file);
    }
  });
}
