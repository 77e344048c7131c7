const translated = new Map<string, string>()

/**
 * A statement as PostgreSQL takes it: values are `$1`, and what only SQLite's planner needs to be told is left out.
 *
 * `CROSS JOIN … ON` says to SQLite in which order to join; PostgreSQL finds it by its own statistics.
 */
export function toPostgres(text: string): string {
  let found = translated.get(text)
  if (found === undefined) {
    found = translate(text)
    translated.set(text, found)
  }
  return found
}

function translate(text: string): string {
  let count = 0
  return (
    text
      .replace(/ INDEXED BY \w+/g, '')
      .replace(/\bCROSS JOIN (\w+(?: \w+)?) ON\b/g, 'JOIN $1 ON')
      .replace(/\bjson_extract\(([\w.]+), '\$\.(\w+)'\)/g, "($1 ->> '$2')")
      .replace(/\binstr\(/g, 'strpos(')
      // What is only asked for its presence has no type of its own; all such values are texts.
      .replace(/\?(\d+) IS NULL/g, '?$1::text IS NULL')
      .replace(/\?(\d*)/g, (_, number: string) => `$${number === '' ? ++count : number}`)
  )
}
