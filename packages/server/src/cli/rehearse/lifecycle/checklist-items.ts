import type { ItemGroup } from './checklist.ts'
import { accessItems } from './items/access.ts'
import { concurrentItems, futureItems, partnerItems, renewalItems } from './items/agreements.ts'
import { billItems } from './items/bill.ts'
import { consumptionItems, contractItems } from './items/contract.ts'
import { endingItems } from './items/ending.ts'
import { meteringItems } from './items/metering.ts'
import { notificationItems } from './items/notifications.ts'
import { purchaseItems, registrationItems } from './items/registration.ts'
import { cancellationItems, suspensionItems } from './items/suspension.ts'
import { trialItems } from './items/trial.ts'

/** The whole checklist: AWS's own nine points, and what reality brings besides. */
export const CHECKLIST: readonly ItemGroup[] = [
  purchaseItems,
  registrationItems,
  accessItems,
  meteringItems,
  contractItems,
  consumptionItems,
  endingItems,
  trialItems,
  concurrentItems,
  renewalItems,
  partnerItems,
  futureItems,
  notificationItems,
  suspensionItems,
  cancellationItems,
  billItems,
]
