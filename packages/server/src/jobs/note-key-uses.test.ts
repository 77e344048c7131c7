import { expect, it } from 'vitest'
import type { KeyUse } from '../domain/keys/api-key.ts'
import { createKeyUseNotes } from './note-key-uses.ts'

function aNode() {
  let noted: KeyUse[] = []
  const written: KeyUse[][] = []
  const state = { mayRun: true, isDown: false, errors: 0 }
  const notes = createKeyUseNotes({
    verifier: {
      takeUses: () => {
        const taken = noted
        noted = []
        return taken
      },
      returnUses: (uses) => void noted.push(...uses),
    },
    apiKeys: {
      noteUses: async (uses) => {
        if (state.isDown) throw new Error('not reached')
        written.push([...uses])
      },
    },
    mayRun: async () => state.mayRun,
    onError: () => void state.errors++,
  })
  return { notes, written, state, use: (id: string) => void noted.push({ id, at: 1 }), noted: () => noted }
}

it('writes last uses once, and nothing where there were none', async () => {
  const { notes, written, use } = aNode()
  await notes.flush()
  expect(written).toEqual([])
  use('apk_1')
  await Promise.all([notes.flush(), notes.flush()])
  expect(written).toEqual([[{ id: 'apk_1', at: 1 }]])
})

it('keeps what could not be written, or while the ledger waits for a person', async () => {
  const { notes, written, state, use, noted } = aNode()
  use('apk_1')
  state.isDown = true
  await notes.flush()
  expect(state.errors).toBe(1)
  state.isDown = false
  state.mayRun = false
  await notes.flush()
  expect([written, noted()]).toEqual([[], [{ id: 'apk_1', at: 1 }]])
  state.mayRun = true
  await notes.flush()
  expect(written).toHaveLength(1)
})

it('writes the last of them when it stops', async () => {
  const { notes, written, use } = aNode()
  notes.start()
  use('apk_1')
  const flushed = notes.flush()
  use('apk_2')
  await notes.stop()
  await flushed
  expect(written.flat().map(({ id }) => id)).toEqual(['apk_1', 'apk_2'])
})
