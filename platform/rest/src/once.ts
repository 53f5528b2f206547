/** One value, as a stream of it. */
export async function* once<Value>(value: Value): AsyncIterable<Value> {
  yield value;
}
