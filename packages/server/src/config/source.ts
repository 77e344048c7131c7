import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { ConfigProblem } from './config-error.ts'
import { type Environment, readEnvironment } from './environment.ts'

const SOURCE_BYTES_MAX = 1_000_000
/** Values in one file, those behind aliases counted each time: what an alias bomb would multiply. */
const VALUES_MAX = 100_000
const DEPTH_MAX = 32
const PROBLEMS_MAX = 50

/** Keys that mean something to JavaScript itself. */
const FORBIDDEN_KEYS = ['__proto__', 'constructor', 'prototype']

export type Tree = null | boolean | number | string | Tree[] | { [key: string]: Tree }

/** Where a value came from, to say so when something is wrong with it. */
interface Place {
  readonly offset: number
  readonly keyOffset: number | undefined
  /** The value as written, where YAML made a number of it. */
  readonly numberText: string | undefined
  /** Read, in part or whole, from the environment: never show it. */
  readonly secret: boolean
  /** The variable that stands in the place of a setting. */
  readonly overriddenBy: string | undefined
}

/** A configuration file: its values, and where each of them stands. */
export interface Source {
  readonly name: string
  readonly tree: Tree
  readonly problems: ConfigProblem[]
  place(pointer: Pointer): { line: number; column: number }
  placeOfKey(pointer: Pointer): { line: number; column: number }
  numberText(pointer: Pointer): string | undefined
  /** The value came out of the environment and may be a secret. */
  isSecret(pointer: Pointer): boolean
  /** The variable that stands in the place of this setting. */
  overriddenBy(pointer: Pointer): string | undefined
  /** Takes a variable's value in the place of a setting. */
  override(pointer: Pointer, value: string, environmentName: string): void
}

/** The way to a value: names and positions. */
export type Pointer = readonly (string | number)[]

/** `products[0].dimensions[1].scale` */
export function pathText(pointer: Pointer): string {
  let text = ''
  for (const step of pointer) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${JSON.stringify(step.slice(0, 60))}]`
  }
  return text
}

/** The value at a pointer; undefined where there is none. */
export function valueAt(tree: unknown, pointer: Pointer): unknown {
  let value = tree
  for (const step of pointer) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

/**
 * Reads YAML (or JSON) text. What is wrong with it is in `problems`; the tree has what could be read.
 *
 * @param env - for `${NAME}` and `${NAME:-default}` in text values; undefined leaves text alone
 */
export function readSource(
  name: string,
  text: string,
  env: Environment | undefined,
  syntax: 'yaml' | 'json' = 'yaml',
): Source {
  const lines = new LineCounter()
  const places = new Map<string, Place>()
  const problems: ConfigProblem[] = []
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const add = (offset: number, pointer: Pointer, message: string) => {
    if (problems.length < PROBLEMS_MAX)
      problems.push({ file: name, ...at(offset), path: pathText(pointer), message })
  }

  let tree: Tree = {}
  if (Buffer.byteLength(text) > SOURCE_BYTES_MAX) {
    add(0, [], `is larger than ${SOURCE_BYTES_MAX} bytes: a configuration is smaller`)
  } else {
    const kind = syntax === 'json' ? 'JSON' : 'YAML'
    try {
      const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: 'core' })
      for (const error of [...document.errors, ...document.warnings]) {
        const duplicate = error.code === 'DUPLICATE_KEY'
        const what = duplicate
          ? 'has this key twice: remove one'
          : `is not ${kind}: ${lowerFirst(error.message)}`
        add(error.pos[0], [], what)
      }
      if (problems.length === 0 && document.contents !== null) tree = build(document.contents)
    } catch (error) {
      if (error instanceof TooLarge) add(error.offset, [], error.message)
      else if (error instanceof RangeError)
        add(0, [], `is not ${kind} that can be read: it is nested too deeply`)
      else throw error
    }
  }

  function build(root: Node): Tree {
    let values = 0
    // Aliases are followed here, each visit counted, rather than by the parser: a bomb ends in one line.
    const visit = (node: unknown, pointer: Pointer, keyOffset: number | undefined, depth: number): Tree => {
      const offset = (isNode(node) ? node.range?.[0] : undefined) ?? keyOffset ?? 0
      if (++values > VALUES_MAX)
        throw new TooLarge(`has more than ${VALUES_MAX} values: are there aliases within aliases?`, offset)
      if (depth > DEPTH_MAX)
        throw new TooLarge(`is nested deeper than ${DEPTH_MAX} levels: does an alias contain itself?`, offset)
      if (isAlias(node)) {
        const target = anchors().get(node.source)
        if (target !== undefined) return visit(target, pointer, keyOffset, depth + 1)
        add(offset, pointer, `names the anchor \`${node.source.slice(0, 60)}\`, which is not there`)
        return null
      }
      const place = (more: Partial<Place> = {}) =>
        places.set(placeKey(pointer), {
          offset,
          keyOffset,
          numberText: undefined,
          secret: false,
          overriddenBy: undefined,
          ...more,
        })
      if (isMap(node)) {
        place()
        const result: { [key: string]: Tree } = {}
        for (const pair of node.items) {
          if (!isPair(pair)) continue
          const keyNode = isAlias(pair.key) ? anchors().get(pair.key.source) : pair.key
          const key = isScalar(keyNode) ? keyNode.value : undefined
          const keyAt = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset
          if (typeof key !== 'string') {
            add(keyAt, pointer, 'has a key that is not text: put it in quotes')
          } else if (FORBIDDEN_KEYS.includes(key)) {
            add(keyAt, [...pointer, key], 'is not a name that can be used here: remove it')
          } else if (Object.hasOwn(result, key)) {
            add(keyAt, [...pointer, key], 'is there twice: remove one')
          } else {
            result[key] = visit(pair.value, [...pointer, key], keyAt, depth + 1)
          }
        }
        return result
      }
      if (isSeq(node)) {
        place()
        return node.items.map((item, index) => visit(item, [...pointer, index], undefined, depth + 1))
      }
      if (!isScalar(node)) {
        place()
        return null
      }
      const { value } = node
      if (typeof value === 'number') {
        place({ numberText: node.source })
        return value
      }
      if (typeof value === 'string') {
        const expanded = expand(value, offset, pointer)
        place({ secret: expanded !== value })
        return expanded
      }
      place()
      if (value === null || typeof value === 'boolean') return value
      add(offset, pointer, 'is not text, a number, true or false')
      return null
    }

    let anchorMap: Map<string, Node> | undefined
    const anchors = () => {
      anchorMap ??= collectAnchors(root, (node) =>
        add(
          node.range?.[0] ?? 0,
          [],
          `has the anchor \`${node.anchor?.slice(0, 60)}\` twice: name one differently`,
        ),
      )
      return anchorMap
    }
    return visit(root, [], undefined, 0)
  }

  function expand(value: string, offset: number, pointer: Pointer): string {
    if (env === undefined || !value.includes('${')) return value
    return value.replace(/\$\$(?=\{)|\$\{([^}]*)\}?/g, (whole: string, inner: string | undefined) => {
      if (inner === undefined) return '$'
      const match = /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inner)
      if (!match || !whole.endsWith('}')) {
        add(
          offset,
          pointer,
          `has a \`\${\` that is no \`\${NAME}\` or \`\${NAME:-default}\`: write \`$\${\` for a plain one`,
        )
        return ''
      }
      const name = match[1]!
      const found = readEnvironment(env, name) ?? match[2]
      if (found === undefined) {
        add(
          offset,
          pointer,
          `needs ${name}, which is not set in the environment: set it, or write \`\${${name}:-default}\``,
        )
        return ''
      }
      return found
    })
  }

  return {
    name,
    tree,
    problems,
    place(pointer) {
      for (let length = pointer.length; length > 0; length--) {
        const place = places.get(placeKey(pointer.slice(0, length)))
        if (place) return at(place.offset)
      }
      return { line: 1, column: 1 }
    },
    placeOfKey(pointer) {
      const place = places.get(placeKey(pointer))
      return place?.keyOffset === undefined ? this.place(pointer) : at(place.keyOffset)
    },
    numberText: (pointer) => places.get(placeKey(pointer))?.numberText,
    isSecret: (pointer) => places.get(placeKey(pointer))?.secret ?? false,
    overriddenBy: (pointer) => places.get(placeKey(pointer))?.overriddenBy,
    override(pointer, value, environmentName) {
      let target: Tree = tree
      for (const step of pointer.slice(0, -1)) {
        if (!isMapping(target)) return // the file's own mistake, reported by the schema
        target = target[step] ??= {}
      }
      if (!isMapping(target)) return
      target[pointer.at(-1)!] = value
      places.set(placeKey(pointer), {
        offset: 0,
        keyOffset: undefined,
        numberText: undefined,
        secret: true,
        overriddenBy: environmentName,
      })
    },
  }
}

class TooLarge extends Error {
  readonly offset: number
  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

function isMapping(tree: Tree): tree is { [key: string]: Tree } {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree)
}

function isNode(value: unknown): value is Node {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value)
}

/** The nodes that aliases may name. Walks the document as written, so it is bounded by the text. */
function collectAnchors(root: Node, onTwice: (node: Node & { anchor?: string }) => void): Map<string, Node> {
  const anchors = new Map<string, Node>()
  const waiting: unknown[] = [root]
  while (waiting.length > 0) {
    const node = waiting.pop()
    if (isPair(node)) waiting.push(node.key, node.value)
    if (!isMap(node) && !isSeq(node) && !isScalar(node)) continue
    if (node.anchor && anchors.has(node.anchor)) onTwice(node)
    if (node.anchor) anchors.set(node.anchor, node)
    if (!isScalar(node)) waiting.push(...node.items)
  }
  return anchors
}

function placeKey(pointer: Pointer): string {
  return JSON.stringify(pointer)
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
