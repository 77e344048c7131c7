import { createHash } from 'node:crypto'
import { type FileHandle, mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { DomainError } from '../../domain/error.ts'

/** What arrives through a pipe is kept in a temporary file; this much of it, so that a disk cannot be filled. */
export const SPOOL_BYTES_MAX = 16 * 1024 ** 3

const GZIP_MAGIC = [0x1f, 0x8b] as const

/** A log that can be read any number of times, each time the same. */
export interface LogSource {
  /** For messages: the path, or `standard input`. */
  readonly name: string
  /**
   * SHA-256 of the content, hexadecimal, after decompression: a log that was rotated and compressed
   * keeps its digest, and so its events keep their ids.
   */
  readonly digest: string
  /** After decompression. */
  readonly bytes: number
  /** @throws {DomainError} `request.invalid` at the end, if the content is not what the digest was taken of */
  chunks(): AsyncIterable<Buffer>
  close(): Promise<void>
}

/**
 * Opens a log and reads it once for its digest, so a damaged archive is found before anything is billed.
 * The size is fixed here: what is appended to a file meanwhile is left out.
 *
 * @param file - a path, gzip or not (told by content, not by name), or `-` for standard input
 * @throws {DomainError} `request.invalid` saying what is wrong with the file
 */
export async function openLogSource(
  file: string,
  stdin: Readable & { readonly isTTY?: boolean } = process.stdin,
): Promise<LogSource> {
  const name = file === '-' ? 'standard input' : file
  if (file === '-' && stdin.isTTY)
    throw new DomainError('request.invalid', 'no log on standard input: pipe one in, or name a file')
  const opened = file === '-' ? await spool(stdin, name) : await openFile(file)
  try {
    const read = await contentReader(opened.handle, name)
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of read()) {
      hash.update(chunk)
      bytes += chunk.length
    }
    const digest = hash.digest('hex')
    return { name, digest, bytes, chunks: () => checked(read(), digest, name), close: opened.close }
  } catch (error) {
    await opened.close()
    throw error
  }
}

interface OpenFile {
  readonly handle: FileHandle
  readonly close: () => Promise<void>
}

async function openFile(file: string): Promise<OpenFile> {
  try {
    const kind = await stat(file)
    if (kind.isDirectory())
      throw new DomainError('request.invalid', `${file} is a folder: name one log file in it`)
    const handle = await open(file, 'r')
    // A pipe (`<(zcat …)`) can be read once only.
    if (!kind.isFile()) return await spool(handle.createReadStream(), file)
    return { handle, close: () => handle.close() }
  } catch (error) {
    throw unreadable(file, error)
  }
}

async function spool(input: Readable, name: string): Promise<OpenFile> {
  const folder = await mkdtemp(join(tmpdir(), 'tollkeeper-rehearse-'))
  const remove = () => rm(folder, { recursive: true, force: true })
  let handle: FileHandle | undefined
  try {
    handle = await open(join(folder, 'log'), 'wx+', 0o600)
    let bytes = 0
    for await (const chunk of input as AsyncIterable<Buffer | string>) {
      const { bytesWritten } = await handle.write(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
      bytes += bytesWritten
      if (bytes > SPOOL_BYTES_MAX)
        throw new DomainError(
          'request.invalid',
          `${name} is longer than ${SPOOL_BYTES_MAX / 1024 ** 3} GiB: save it as a file and name that`,
        )
    }
    const kept = handle
    return {
      handle: kept,
      close: async () => {
        await kept.close()
        await remove()
      },
    }
  } catch (error) {
    await handle?.close()
    await remove()
    throw unreadable(name, error)
  }
}

async function contentReader(handle: FileHandle, name: string): Promise<() => AsyncIterable<Buffer>> {
  const { size } = await handle.stat()
  if (size === 0) return () => none()
  const start = await handle.read(Buffer.alloc(2), 0, 2, 0)
  const zipped =
    start.bytesRead === 2 && start.buffer[0] === GZIP_MAGIC[0] && start.buffer[1] === GZIP_MAGIC[1]
  return async function* read() {
    const raw = handle.createReadStream({ start: 0, end: size - 1, autoClose: false })
    // An error on the way destroys the last stream with it, which is where it is seen.
    const content: AsyncIterable<Buffer> = zipped ? pipeline(raw, createGunzip(), () => undefined) : raw
    try {
      yield* content
    } catch (error) {
      throw unreadable(name, error)
    }
  }
}

async function* none(): AsyncIterable<Buffer> {}

async function* checked(chunks: AsyncIterable<Buffer>, digest: string, name: string): AsyncIterable<Buffer> {
  const hash = createHash('sha256')
  for await (const chunk of chunks) {
    hash.update(chunk)
    yield chunk
  }
  if (hash.digest('hex') !== digest)
    throw new DomainError('request.invalid', `${name} changed while it was read: rehearse a copy of it`)
}

function unreadable(name: string, error: unknown): Error {
  if (error instanceof DomainError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const why: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file: check the path',
    EACCES: 'this user may not read it',
    ENOSPC: 'no space is left for temporary files: free some, or name a file instead of a pipe',
    Z_BUF_ERROR: 'its gzip data ends too early: fetch the file again',
    Z_DATA_ERROR: 'its gzip data is damaged: fetch the file again',
  }
  const reason = why[code] ?? (error instanceof Error ? error.message : String(error))
  return new DomainError('request.invalid', `cannot read ${name}: ${reason}`, { cause: error })
}
