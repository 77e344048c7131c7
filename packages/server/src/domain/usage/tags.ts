import { AWS_RULES } from './aws-rules.ts'

/** AWS's vendor-metered tags, sorted by key: buyers see them as cost allocation tags. */
export type Tags = readonly (readonly [key: string, value: string])[]

/** The canonical text of a set of tags: the same set is the same text. Untagged is the empty string. */
export type TagSetKey = string

export const UNTAGGED: TagSetKey = ''

/** The tags of an event in canonical form, or why they are none. */
export function parseTags(tags: Readonly<Record<string, string>> | undefined): Tags | { reason: string } {
  if (tags === undefined) return []
  const entries = Object.entries(tags)
  if (entries.length > AWS_RULES.tagsMax) return { reason: `at most ${AWS_RULES.tagsMax} tags` }
  for (const [key, value] of entries) {
    if (typeof value !== 'string') return { reason: `tag ${JSON.stringify(key)} must be a string` }
    if (!fits(key, AWS_RULES.tagKeyLengthMax))
      return {
        reason: `tag key ${JSON.stringify(key.slice(0, 40))} is not one AWS takes: 1 to ${AWS_RULES.tagKeyLengthMax} letters, digits or + - = . _ : / @`,
      }
    if (!fits(value, AWS_RULES.tagValueLengthMax))
      return {
        reason: `tag ${JSON.stringify(key)} has a value AWS does not take: 1 to ${AWS_RULES.tagValueLengthMax} letters, digits or + - = . _ : / @`,
      }
  }
  return entries.sort(([a], [b]) => (a < b ? -1 : 1))
}

function fits(text: string, lengthMax: number): boolean {
  return text.length >= 1 && text.length <= lengthMax && AWS_RULES.tagPattern.test(text)
}

export function tagSetKey(tags: Tags): TagSetKey {
  return tags.length === 0 ? UNTAGGED : JSON.stringify(tags)
}

export function parseTagSetKey(key: TagSetKey): Tags {
  return key === UNTAGGED ? [] : (JSON.parse(key) as Tags)
}
