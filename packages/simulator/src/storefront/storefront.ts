import type { Backstage } from '../http/control-routes.ts'
import type { HttpRequest, HttpResponse } from '../http/message.ts'
export function storefrontResponse(_request: HttpRequest, _backstage: Backstage): HttpResponse {
  return { status: 200, headers: { 'content-type': 'text/plain' }, body: 'storefront' }
}
