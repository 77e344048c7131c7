import type { SimulatedProduct } from './marketplace/product.ts'

/** Where a seller's program on the same machine is expected to take registrations. */
const SELLER = 'http://127.0.0.1:4000/marketplace/register'

/** On sale when no products are given: one of each way of selling. */
export const DEMO_PRODUCTS: readonly SimulatedProduct[] = [
  {
    productCode: 'demoapi0usage0license0001',
    productId: 'prod-demoapi000001',
    title: 'Demo API',
    description:
      'Pay for what you use: requests, storage and people. Metered by license, as each new product is.',
    metering: 'license',
    pricing: 'usage',
    fulfillmentUrl: `${SELLER}/demo-api`,
    dimensions: [
      { key: 'api_requests', name: 'API requests', unit: 'Requests', price: '0.002' },
      { key: 'storage_gb', name: 'Storage', unit: 'GB', price: '0.10' },
      { key: 'users', name: 'Active users', unit: 'Users', price: '4' },
    ],
  },
  {
    productCode: 'demoreports0legacy0000002',
    productId: 'prod-demoreport002',
    title: 'Demo Reports Classic',
    description: 'Listed before June 2026, and still metered by product code and customer identifier.',
    metering: 'legacy',
    pricing: 'usage',
    fulfillmentUrl: `${SELLER}/demo-reports`,
    dimensions: [{ key: 'reports', name: 'Reports', unit: 'Units', price: '1.25' }],
  },
  {
    productCode: 'demosuite0contract0000003',
    productId: 'prod-demosuite0003',
    title: 'Demo Suite',
    description: 'A yearly contract for seats, and scans beyond what it includes by use.',
    metering: 'license',
    pricing: 'contractWithConsumption',
    fulfillmentUrl: `${SELLER}/demo-suite`,
    dimensions: [
      { key: 'seats', name: 'Seats', unit: 'Users', types: ['Entitled'], price: '120' },
      { key: 'scans', name: 'Additional scans', unit: 'Units', types: ['ExternallyMetered'], price: '0.05' },
    ],
  },
  {
    productCode: 'demoteam0contract00000004',
    productId: 'prod-demoteam0004',
    title: 'Demo Team',
    description: 'A contract for people and projects, and nothing by use.',
    metering: 'license',
    pricing: 'contract',
    fulfillmentUrl: `${SELLER}/demo-team`,
    dimensions: [
      { key: 'people', name: 'People', unit: 'Users', price: '60' },
      { key: 'projects', name: 'Projects', unit: 'Units', price: '200' },
    ],
  },
  {
    productCode: 'demovault0legacy000000005',
    productId: 'prod-demovault005',
    title: 'Demo Vault Classic',
    description: 'A contract listed before June 2026, with more storage by use, told of over SNS.',
    metering: 'legacy',
    pricing: 'contractWithConsumption',
    fulfillmentUrl: `${SELLER}/demo-vault`,
    dimensions: [
      { key: 'vaults', name: 'Vaults', unit: 'Units', types: ['Entitled'], price: '30' },
      {
        key: 'extra_gb',
        name: 'Additional storage',
        unit: 'GB',
        types: ['ExternallyMetered'],
        price: '0.08',
      },
    ],
  },
]
