import type { Admitted } from './gate.ts'

const found = new WeakMap<object, Admitted>()

export function remember(request: object, admitted: Admitted): void {
  found.set(request, admitted)
}

/** Who was let in with this request; undefined where no gate stands before it. */
export function admittedOf(request: object): Admitted | undefined {
  return found.get(request)
}
