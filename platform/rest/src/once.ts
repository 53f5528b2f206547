/** A stream of one value. */
export async function* once<Value>(value: Value): AsyncIterable<Value> {
  yield value;
}
