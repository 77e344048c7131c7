/**
 * Columns of many rows as PostgreSQL's binary arrays: one value of a statement each, taken apart again with `unnest`. The
 * driver sends a buffer as it is; as text, each value would be written, escaped and parsed.
 *
 * @see {@link https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/adt/arrayfuncs.c | array_recv}
 */

const HEADER_BYTES = 20
const [OID_BYTEA, OID_INT8, OID_TEXT] = [17, 20, 25]
const NULL_LENGTH = -1

/** For `bigint[]`. */
export function int8Array(values: readonly (number | bigint | null)[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + values.length * 12)
  writeHeader(buffer, OID_INT8, values.length)
  let at = HEADER_BYTES
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(NULL_LENGTH, at)
      continue
    }
    at = buffer.writeInt32BE(8, at)
    if (typeof value === 'bigint') at = buffer.writeBigInt64BE(value, at)
    else {
      // Exact up to 2^53, either side of zero: the high half is rounded down, the low one is what remains.
      at = buffer.writeInt32BE(Math.floor(value / 2 ** 32), at)
      at = buffer.writeUInt32BE(value >>> 0, at)
    }
  }
  return at === buffer.length ? buffer : buffer.subarray(0, at)
}

/** For `bytea[]`. */
export function byteaArray(values: readonly (Uint8Array | null)[]): Buffer {
  let length = HEADER_BYTES
  for (const value of values) length += 4 + (value?.length ?? 0)
  const buffer = Buffer.allocUnsafe(length)
  writeHeader(buffer, OID_BYTEA, values.length)
  let at = HEADER_BYTES
  for (const value of values) {
    at = buffer.writeInt32BE(value?.length ?? NULL_LENGTH, at)
    if (value === null) continue
    buffer.set(value, at)
    at += value.length
  }
  return buffer
}

/** For `text[]`. */
export function textArray(values: readonly (string | null)[]): Buffer {
  // No UTF-16 unit takes more than three bytes.
  let lengthMax = HEADER_BYTES
  for (const value of values) lengthMax += 4 + (value?.length ?? 0) * 3
  const buffer = Buffer.allocUnsafe(lengthMax)
  writeHeader(buffer, OID_TEXT, values.length)
  let at = HEADER_BYTES
  for (const value of values) {
    const bytes = value === null ? NULL_LENGTH : buffer.write(value, at + 4)
    buffer.writeInt32BE(bytes, at)
    at += 4 + Math.max(0, bytes)
  }
  return buffer.subarray(0, at)
}

/** One dimension that begins at 1; it may hold nulls. */
function writeHeader(buffer: Buffer, oid: number, length: number): void {
  buffer.writeInt32BE(1, 0)
  buffer.writeInt32BE(1, 4)
  buffer.writeInt32BE(oid, 8)
  buffer.writeInt32BE(length, 12)
  buffer.writeInt32BE(1, 16)
}
