import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { DomainError } from '../../domain/error.ts'

/**
 * On these, locks and shared memory do not hold between machines, or not at all: SQLite's write-ahead log on one of them is
 * two processes that both believe to be alone, or a file that is torn. Names as Linux mounts them.
 */
const NETWORK = new Set([
  'nfs',
  'nfs4',
  'cifs',
  'smb3',
  'smbfs',
  'ncpfs',
  'afs',
  'coda',
  'ceph',
  'lustre',
  'beegfs',
  'gpfs',
  'ocfs2',
  'gfs2',
  'glusterfs',
  'orangefs',
  '9p',
  'vboxsf',
])
/** File systems in user space that reach over the network; others are a disk's. */
const NETWORK_FUSE =
  /^fuse\.(sshfs|s3fs|s3ql|goofys|geesefs|gcsfuse|mount-s3|mountpoint-s3|rclone|glusterfs|juicefs|blobfuse2?|davfs2?|vmhgfs-fuse|ceph-fuse)$/
/** Gone when the machine, or the container, is. */
const VANISHING = new Map([
  ['tmpfs', 'in memory'],
  ['ramfs', 'in memory'],
  ['overlay', 'a container’s own layer'],
  ['aufs', 'a container’s own layer'],
])

/** What a mount table says of a place. */
export interface FileSystem {
  readonly type: string
  /** Where it is mounted. */
  readonly mountedAt: string
}

/**
 * @param path - absolute, with no symbolic link in it
 * @param mounts - as `/proc/self/mountinfo` has them
 * @returns undefined where the table does not say
 */
export function fileSystemOf(path: string, mounts: string): FileSystem | undefined {
  let found: FileSystem | undefined
  for (const line of mounts.split('\n')) {
    const [place, source] = line.split(' - ')
    const mountedAt = place
      ?.split(' ')[4]
      ?.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
    const type = source?.split(' ')[0]
    if (mountedAt === undefined || type === undefined) continue
    const isInside = mountedAt === '/' || path === mountedAt || path.startsWith(`${mountedAt}/`)
    // Of two at the same place, the later one hides the earlier.
    if (isInside && mountedAt.length >= (found?.mountedAt.length ?? 0)) found = { type, mountedAt }
  }
  return found
}

/**
 * @returns why what is written there may be gone one day; undefined where nothing speaks for it
 * @throws {DomainError} `ledger.network_file_system`
 */
export function checkFileSystem(file: string, fileSystem: FileSystem | undefined): string | undefined {
  if (fileSystem === undefined) return undefined
  const { type, mountedAt } = fileSystem
  if (NETWORK.has(type) || NETWORK_FUSE.test(type)) {
    throw new DomainError(
      'ledger.network_file_system',
      `${file} is on a network file system (${type} at ${mountedAt}): SQLite's locks do not hold there, and a ledger would be torn; put it on a disk of this machine, or use PostgreSQL or DynamoDB (store.url)`,
    )
  }
  const vanishing = VANISHING.get(type)
  if (vanishing === undefined) return undefined
  return `${file} is on ${type} at ${mountedAt} (${vanishing}): it is gone with this machine or container; put the ledger on a volume that stays`
}

/** Of a file, or of the nearest folder above it that is there. Only Linux tells. */
export function findFileSystem(file: string): FileSystem | undefined {
  let existing = file
  while (!existsSync(existing)) existing = dirname(existing)
  try {
    return fileSystemOf(realpathSync(existing), readFileSync('/proc/self/mountinfo', 'utf8'))
  } catch {
    return undefined
  }
}
