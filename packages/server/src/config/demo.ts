/** What `tollkeeper dev` sells: one product that has each common kind of dimension. */
export const DEMO_CONFIG = `mode: simulated
store:
  url: sqlite:./tollkeeper-demo.db
events:
  email:
    from: Demo API <demo@tollkeeper.example>
    sellerTo: [seller@tollkeeper.example]
products:
  - id: demo
    title: Demo API
    productCode: demoapi0tollkeeper0000000
    landing:
      description: Requests, storage and people of a demonstration, billed by use.
      supportEmail: support@demo.example
      nextSteps: Send your first request with the command that was printed at the start.
    dimensions:
      - key: api_requests
        name: API requests
        aggregation: count
        price: "0.002"
        metrics: [apiCalls]
      - key: storage_gb
        name: Storage, GB (peak of the month)
        aggregation: max
        per: month
        scale: 3
        price: "0.023"
        metrics: [storageUsedGB]
      - key: users
        name: Active users of the month
        aggregation: unique
        per: month
        price: "4.00"
        metrics: [activeUsers]
`

/** What `tollkeeper init` writes. A test loads it. */
export const CONFIG_TEMPLATE = `# yaml-language-server: $schema=./node_modules/tollkeeper/tollkeeper.schema.json
# Configuration of Tollkeeper. Every setting: docs/configuration.md. Text may read the environment:
# \${NAME}, or \${NAME:-default}. Check it with: tollkeeper doctor

# simulated: talks to the simulator on this machine only. shadow: does all but send. live: bills real buyers.
# A ledger keeps its mode for good.
mode: simulated

server:
  host: 127.0.0.1
  port: 4000
  # publicUrl: https://billing.example.com   # how buyers and AWS reach this server

store:
  url: sqlite:./tollkeeper.db               # relative to this file

aws:
  # accountId: "123456789012"               # the seller's account; live mode needs it
  region: us-east-1

# Tell your systems what happens to subscriptions. Mail needs \`smtpUrl\` outside simulated mode.
# events:
#   eventBridge: { bus: my-bus }              # name or ARN
#   webhooks:
#     - id: provisioning
#       url: http://127.0.0.1:5000/hooks      # https:// outside simulated mode
#       secret: whsec_replaceThisWithOutputOfOpenssl00 # whsec_ and the output of: openssl rand -base64 24
#       types: [subscription.activated, subscription.cancelling, subscription.ended]
#   email: { from: Example <hello@example.com>, sellerTo: [ops@example.com] }

# usage:
#   acceptBackDays: 7                       # how old an event may be, at most 35
#   acceptAheadMinutes: 5                   # how far ahead of our clock

products:
  - id: my-product                          # stable, chosen by you
    title: My product
    productCode: \${MP_PRODUCT_CODE:-replacewithproductcode000} # 25 characters that AWS chose
    # metering: legacy                      # only for products older than June 2026
    # graceMinutes: 15                      # how long after an hour its events may still arrive
    dimensions:
      - key: api_requests                   # exactly as in the listing
        aggregation: count                  # each event is one
        price: "0.002"                      # US dollars a unit, to show usage at risk in money
        # unitSize: 1000                    # when AWS sells thousands of requests
        # holdAbove: { times: 20 }          # a person looks at an hour 20 times the usual

      # - key: storage_gb
      #   aggregation: max                  # the peak of the month, a gauge
      #   per: month
      #   scale: 3                          # decimals that a quantity may have

      # - key: users
      #   aggregation: unique               # how many different users the month saw
      #   per: month
      #   metrics: [activeUsers]            # names under which your platform reports it

    # upgradeUrl: { direct: https://example.com/pricing } # where a refusal sends who needs more
    # plans:                                # docs/plans.md
    #   - id: visitor
    #     audience: anonymous               # visitors without a key; \`registered\`: who pays nothing
    #     trial: { days: 15 }               # 10 requests or 15 days, whichever comes first
    #     upgradeTo: pro
    #     limits:
    #       - { dimension: api_requests, quantity: 10, window: lifetime }
    #   - id: pro
    #     title: Pro
    #     price: { amount: "49.00", currency: USD, per: month }
    #     limits:
    #       - { dimension: api_requests, quantity: 1000, window: minute }
    #     included:                         # contract with consumption: only what exceeds it is metered
    #       - { dimension: api_requests, units: 10000, reset: calendarMonth }

# Buyers who subscribed before Tollkeeper was there. New ones register by themselves.
# subscriptions:
#   - product: my-product
#     tenantId: acme
#     licenseArn: arn:aws:license-manager::294406891311:license:l-0123456789abcdef0123456789abcdef
#     customerAwsAccountId: "123456789012"
#     accessStart: 2026-11-01T00:00:00Z
`
