/**
 * Money, counted in cents, and the rates that multiply it. Everything is a whole `bigint`: a
 * floating-point number cannot hold ten cents.
 */

const RATE_PLACES = 6;
const RATE_ONE = 10n ** BigInt(RATE_PLACES);

/** An amount in some currency, such as `12.50`. */
export class Money {
  private constructor(readonly cents: bigint) {}

  static readonly zero = new Money(0n);

  static ofCents(cents: bigint): Money {
    return new Money(cents);
  }

  /** Reads `12.50`, as the product service writes it. */
  static parse(text: string): Money {
    return new Money(readDecimal(text, 2));
  }

  plus(other: Money): Money {
    return new Money(this.cents + other.cents);
  }

  times(quantity: number): Money {
    return new Money(this.cents * BigInt(quantity));
  }

  /** Converts at a rate, rounded half up to the cent. */
  at(rate: Rate): Money {
    return new Money((this.cents * rate.millionths + RATE_ONE / 2n) / RATE_ONE);
  }

  toString(): string {
    return `${this.cents / 100n}.${(this.cents % 100n).toString().padStart(2, "0")}`;
  }
}

/** How many of one currency one of another is worth, such as `5.454`. */
export class Rate {
  private constructor(readonly millionths: bigint) {}

  static parse(text: string): Rate {
    return new Rate(readDecimal(text, RATE_PLACES));
  }
}

/** A decimal number without sign, as a count of its smallest unit. */
function readDecimal(text: string, places: number): bigint {
  const [, whole, fraction = ""] = /^(\d{1,15})(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined || fraction.length > places) {
    throw new RangeError(`${JSON.stringify(text)} is not a number with up to ${places} decimals`);
  }
  return BigInt(whole + fraction.padEnd(places, "0"));
}
