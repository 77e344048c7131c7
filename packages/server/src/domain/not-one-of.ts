import { closestName } from './closest-name.ts'

/** For a reference that leads nowhere. */
export function notOneOf(what: string, name: string, known: readonly string[]): string {
  const meant = closestName(name, known)
  const hint = meant
    ? `did you mean \`${meant}\`?`
    : known.length === 0
      ? 'there is none'
      : `there is ${known.slice(0, 10).join(', ')}`
  return `must be ${what}, not \`${name.slice(0, 60)}\`: ${hint}`
}
