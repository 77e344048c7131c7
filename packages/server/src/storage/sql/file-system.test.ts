import { expect, it } from 'vitest'
import { checkFileSystem, fileSystemOf } from './file-system.ts'

const MOUNTS = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:27 / /dev/shm rw,relatime - tmpfs tmpfs rw
41 27 0:51 / /mnt/shared rw,relatime shared:12 - nfs4 fs-1.efs.us-east-1.amazonaws.com:/ rw,vers=4.1
42 27 0:52 / /mnt/my\\040disk rw,relatime - xfs /dev/vdb rw
43 27 0:53 / /mnt/over rw,relatime - ext4 /dev/vdc rw
44 43 0:54 / /mnt/over rw,relatime - fuse.sshfs me@host:/ rw
45 27 0:55 / /mnt/ntfs rw,relatime - fuseblk /dev/vdd rw
`

const check = (file: string) => checkFileSystem(file, fileSystemOf(file, MOUNTS))

it('takes a disk of the machine', () => {
  expect(check('/var/lib/tollkeeper/ledger.db')).toBeUndefined()
  expect(check('/mnt/my disk/ledger.db')).toBeUndefined()
  expect(check('/mnt/ntfs/ledger.db')).toBeUndefined()
  expect(fileSystemOf('/mnt/my disk/ledger.db', MOUNTS)).toEqual({ type: 'xfs', mountedAt: '/mnt/my disk' })
})

it.each(['/mnt/shared/ledger.db', '/mnt/shared/deep/down/ledger.db', '/mnt/over/ledger.db'])(
  'refuses %s, which other machines may write as well',
  (file) => {
    expect(() => check(file)).toThrow(expect.objectContaining({ code: 'ledger.network_file_system' }))
  },
)

it('does not take a neighbour for the network', () => {
  expect(check('/mnt/shared-not/ledger.db')).toBeUndefined()
})

it('warns of what is gone with the machine', () => {
  expect(check('/dev/shm/ledger.db')).toMatch(/gone with this machine/)
})

it('says nothing where the system does not tell', () => {
  expect(checkFileSystem('/ledger.db', fileSystemOf('/ledger.db', ''))).toBeUndefined()
})
