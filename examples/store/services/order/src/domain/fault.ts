/** What is wrong with one field of a request, in words for its author. */
export interface Fault {
  readonly field: string;
  readonly message: string;
}

/** The request can be read, and makes no sense. */
export class InvalidRequest extends Error {
  constructor(readonly faults: readonly Fault[]) {
    super("some fields are missing or wrong");
  }
}
