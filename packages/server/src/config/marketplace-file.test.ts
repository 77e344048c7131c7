import { expect, it } from 'vitest'
import { parseConfig } from '../config.ts'

/** To the letter as the documentation of such deployments has it. */
const FILE = `{
  "marketplaceListings": {
    "ai-skills": {
      "name": "Codio AI Skills Training",
      "description": "Build job-ready AI and machine learning skills...",
      "productCode": "CODIO_AI_SKILLS_2024",
      "path": "ai-skills",
      "enabled": true
    },
    "data-analytics": {
      "name": "Codio Data Analytics Training", 
      "description": "Master data science and analytics...",
      "productCode": "CODIO_DATA_ANALYTICS_2024",
      "path": "data-analytics",
      "enabled": true
    }
  },
  "deploymentSettings": {
    "region": "us-east-1",
    "environment": "production",
    "retainResources": true
  }
}
`

function parse(listings: string, text = '') {
  return parseConfig(text, {
    name: 'tollkeeper.yaml',
    directory: '/etc/toll',
    env: {},
    listings: { name: 'marketplace-config.json', text: listings },
  })
}

it('reads the file of a many-stack deployment to the letter', () => {
  const { products, deployment } = parse(FILE)
  expect(products).toMatchObject([
    {
      id: 'ai-skills',
      title: 'Codio AI Skills Training',
      productCode: 'CODIO_AI_SKILLS_2024',
      listing: 'ai-skills',
      region: 'us-east-1',
      landing: { description: 'Build job-ready AI and machine learning skills...' },
    },
    {
      id: 'data-analytics',
      title: 'Codio Data Analytics Training',
      productCode: 'CODIO_DATA_ANALYTICS_2024',
      listing: 'data-analytics',
      region: 'us-east-1',
      landing: { description: 'Master data science and analytics...' },
    },
  ])
  expect(deployment).toMatchObject({
    region: 'us-east-1',
    environment: 'production',
    retainResources: true,
    listings: [{ enabled: true }, { enabled: true }],
  })
})

/** With the two snippets of the same documentation: a listing that is added, and one that is switched off. */
function withListings(more: object): string {
  const file = JSON.parse(FILE)
  return JSON.stringify({ ...file, marketplaceListings: { ...file.marketplaceListings, ...more } })
}

it('takes a new listing, and one that only says that it is disabled', () => {
  const { products, deployment } = parse(
    withListings({
      'new-listing': {
        name: 'Codio New Skills Training',
        description: 'Description of the new training program',
        productCode: 'CODIO_NEW_SKILLS_2024',
        path: 'new-listing',
        enabled: true,
      },
      'old-listing': { enabled: false },
    }),
  )
  expect(products.map(({ listing }) => listing)).toEqual(['ai-skills', 'data-analytics', 'new-listing'])
  expect(deployment?.listings.at(-1)).toMatchObject({ path: 'old-listing', enabled: false })
})

it('keeps metering a product whose listing is disabled: its buyers are still there', () => {
  const { products, deployment } = parse(
    withListings({ 'ai-skills': { enabled: false } }),
    'products: [{id: skills, productCode: CODIO_AI_SKILLS_2024, listing: ai-skills, dimensions: [{key: seats}]}]',
  )
  expect(products.map(({ id }) => id)).toEqual(['skills', 'data-analytics'])
  expect(deployment?.listings[0]).toMatchObject({ path: 'ai-skills', enabled: false })
})

it('prefers what tollkeeper.yaml says about a listing', () => {
  const { products } = parse(
    FILE,
    'products: [{id: skills, productCode: CODIO_AI_SKILLS_2024, landing: {description: Ours}}]',
  )
  expect(products[0]).toMatchObject({
    id: 'skills',
    title: 'Codio AI Skills Training',
    listing: 'ai-skills',
    landing: { description: 'Ours' },
  })
})
