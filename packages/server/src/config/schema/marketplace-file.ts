import Type, { type Static } from 'typebox'
import { NAME, PRODUCT_CODE, REGION } from './values.ts'

const ListingSchema = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Name for people.' })),
    description: Type.Optional(
      Type.String({ maxLength: 5000, description: 'What it is, for the landing page.' }),
    ),
    productCode: Type.Optional(Type.String({ ...PRODUCT_CODE, description: "AWS's product code." })),
    path: Type.Optional(
      Type.String({ ...NAME, description: "Path of the landing page. Default: the listing's key." }),
    ),
    enabled: Type.Boolean({ description: 'False: not sold by this deployment.' }),
  },
  { description: 'One listing.' },
)

/** `marketplace-config.json`: another program's file, so what it has besides is left alone. */
export const MarketplaceFileSchema = Type.Object(
  {
    marketplaceListings: Type.Record(Type.String(), ListingSchema, {
      description: 'Listings by a name of their own.',
    }),
    deploymentSettings: Type.Object(
      {
        region: Type.Optional(
          Type.String({ ...REGION, description: 'AWS region, where `tollkeeper.yaml` has none.' }),
        ),
        environment: Type.Optional(
          Type.String({ minLength: 1, maxLength: 100, description: 'Name of the deployment.' }),
        ),
        retainResources: Type.Optional(
          Type.Boolean({ description: 'Keep tables and buckets when a listing is removed.' }),
        ),
      },
      { default: {}, description: 'Settings of the deployment.' },
    ),
  },
  { description: 'Listings of one deployment, `marketplace-config.json`.' },
)

export type MarketplaceFile = Static<typeof MarketplaceFileSchema>
