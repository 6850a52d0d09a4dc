// What the service is about: items, and the rules they obey. Knows nothing of HTTP or SQL.

import { randomUUID } from "node:crypto";

const MAX_NAME_LENGTH = 100;
const MAX_NOTE_LENGTH = 1_000;

// Something that a user keeps here. Valid once it exists.
export interface Item {
  id: string;
  name: string;
  note: string;
  created_at: string;
}

// A rule that is broken.
export interface Fault {
  field: string;
  message: string;
}

export class Invalid extends Error {
  readonly faults: Fault[];

  constructor(faults: Fault[]) {
    super("some fields break a rule");
    this.faults = faults;
  }
}

/** Makes an item of whatever somebody sent, or throws everything that is wrong with it. */
export function createItem(draft: unknown): Item {
  const { name, note = "" } = requireObject(draft);
  const faults = [
    ...faultsOf("name", name, 1, MAX_NAME_LENGTH),
    ...faultsOf("note", note, 0, MAX_NOTE_LENGTH),
  ];
  if (faults.length > 0) {
    throw new Invalid(faults);
  }
  const created_at = new Date().toISOString();
  return { id: randomUUID(), name: String(name).trim(), note: String(note).trim(), created_at };
}

function requireObject(draft: unknown): Record<string, unknown> {
  if (typeof draft !== "object" || draft === null || Array.isArray(draft)) {
    throw new Invalid([{ field: "body", message: "must be an object" }]);
  }
  return { ...draft };
}

function faultsOf(field: string, text: unknown, min: number, max: number): Fault[] {
  if (typeof text !== "string") {
    return [{ field, message: "must be a text" }];
  }
  const length = [...text.trim()].length;
  if (length < min) {
    return [{ field, message: "must not be empty" }];
  }
  return length > max ? [{ field, message: `must not be longer than ${max} characters` }] : [];
}
