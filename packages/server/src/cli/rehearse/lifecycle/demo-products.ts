/** What is played where no product of the seller's is named: one of each way of selling. */
export const LIFECYCLE_DEMO = `mode: simulated
products:
  - id: demo-api
    title: Demo API
    productCode: demoapi0lifecycle00000001
    productId: prod-demolife00001
    pricing: usage
    metering: license
    landing: { supportEmail: support@example.com }
    dimensions:
      - { key: api_requests, aggregation: count, unitSize: 100, price: "0.002" }
      - { key: storage_gb, aggregation: max, per: month, scale: 3, price: "0.10" }
      - { key: users, aggregation: unique, per: month, price: "4.00" }
      - { key: compute_minutes, aggregation: sum, scale: 2, price: "0.01" }
      - { key: scans, aggregation: total, reportZero: true, price: "0.05" }

  - id: demo-reports
    title: Demo Reports Classic
    productCode: demoreports0legacy0000002
    productId: prod-demolife00002
    pricing: usage
    metering: legacy
    landing: { supportEmail: support@example.com }
    dimensions:
      - { key: reports, aggregation: sum, price: "1.25" }
      - { key: pages, aggregation: count, reportZero: true, price: "0.01" }

  - id: demo-suite
    title: Demo Suite
    productCode: demosuite0consume00000003
    productId: prod-demolife00003
    pricing: contract-with-consumption
    metering: license
    landing: { supportEmail: support@example.com }
    dimensions:
      - { key: scans, aggregation: sum, price: "0.05" }
      - { key: exports, aggregation: count, price: "0.20" }
    plans:
      - id: team
        title: Team
        grantedBy: seats
        included:
          - { dimension: scans, units: 100, per: seats, reset: calendarMonth }

  - id: demo-seats
    title: Demo Seats
    productCode: demoseats0contract0000004
    productId: prod-demolife00004
    pricing: contract
    metering: legacy
    landing: { supportEmail: support@example.com }
    plans:
      - { id: basic, title: Basic, grantedBy: basic_seats, features: { reports: false } }
      - { id: pro, title: Pro, grantedBy: pro_seats, features: { reports: true } }
`
