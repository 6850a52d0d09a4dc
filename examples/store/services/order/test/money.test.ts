import assert from "node:assert/strict";
import { test } from "node:test";

import { Money, Rate } from "../src/domain/money.js";

test("amounts are read and written to the cent", () => {
  for (const [text, written] of [["12.50", "12.50"], ["12.5", "12.50"], ["12", "12.00"], ["0.07", "0.07"]] as const) {
    assert.equal(Money.parse(text).toString(), written);
  }
});

test("what is not an amount is refused", () => {
  for (const text of ["", "-1", "1.", ".5", "1.005", "1e3", "1,50", " 1", "NaN"]) {
    assert.throws(() => Money.parse(text), RangeError, text);
  }
});

test("ten cents ten times are a dollar, which floats get wrong", () => {
  let total = Money.zero;
  for (let time = 0; time < 10; time += 1) {
    total = total.plus(Money.parse("0.10"));
  }
  assert.equal(total.toString(), "1.00");
  assert.equal(Money.parse("9999999.99").times(999).toString(), "9989999990.01");
});

test("conversion rounds half up to the cent", () => {
  for (const [amount, rate, converted] of [
    ["12.50", "5.454000", "68.18"],
    ["0.01", "0.5", "0.01"],
    ["0.01", "0.499999", "0.00"],
    ["100.00", "1", "100.00"],
  ] as const) {
    assert.equal(Money.parse(amount).at(Rate.parse(rate)).toString(), converted);
  }
});
