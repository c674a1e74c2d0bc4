//! Revenue as it was billed and paid, and what an employee brings.

use super::company;

#[tokio::test]
async fn what_was_billed_paid_and_given_back() {
    // January: 100.00 + 10.01 EUR x 1.05 = 10.5105, so 10.51. February is empty. March: 50.00, and GBP has no rate; 30.00
    // EUR x 1.10. Customer X9 is unknown, C2 is deleted but was billed. What is at as_of is not there yet.
    let company = company(
        "2025-03-16T00:00:00Z",
        &[
            (
                "billing.customers",
                "customer_id | is_deleted
                C1 | false
                C2 | true",
            ),
            (
                "billing.invoices",
                "invoice_id | customer_id | status | issued_at | subtotal | tax | total | currency
                I1 | C1 | paid | 2025-01-10 | 100.00 | 20.00 | 120.00 | USD
                I2 | C1 | open | 2025-01-31T23:59:59Z | 10.01 | 0.00 | 10.01 | EUR
                I3 | C1 | draft | 2025-01-15 | 999.00 | 0.00 | 999.00 | USD
                I4 | C1 | void | 2025-01-15 | 999.00 | 0.00 | 999.00 | USD
                I5 | C1 | uncollectible | 2025-03-02 | 50.00 | 0.00 | 50.00 | USD
                I6 | X9 | paid | 2025-01-10 | 999.00 | 0.00 | 999.00 | USD
                I7 | C1 | open | 2025-03-16 | 999.00 | 0.00 | 999.00 | USD
                I8 | C2 | paid | 2025-03-01 | 7.00 | 0.00 | 7.00 | GBP",
            ),
            (
                "billing.payments",
                "payment_id | customer_id | status | amount | currency | paid_at
                P1 | C1 | succeeded | 120.00 | USD | 2025-01-12
                P2 | C1 | failed | 999.00 | USD | 2025-01-13
                P3 | C2 | succeeded | 30.00 | EUR | 2025-03-01
                P4 | X9 | succeeded | 999.00 | USD | 2025-01-12",
            ),
            (
                "billing.refunds",
                "refund_id | payment_id | amount | currency | refunded_at
                R1 | P1 | 20.00 | USD | 2025-03-05
                R2 | P4 | 999.00 | USD | 2025-03-05
                R3 | P1 | 5.00 | USD | 2025-03-16",
            ),
            (
                "finance.fx_rates",
                "currency | rate_date | rate
                EUR | 2025-01-01 | 1.05
                EUR | 2025-03-01 | 1.10",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select * from revenue order by month",
            "2025-01-01 | 110.51 | 120.00 | 0.00 | 120.00 | true
             2025-02-01 | 0.00 | 0.00 | 0.00 | 0.00 | true
             2025-03-01 | 50.00 | 33.00 | 20.00 | 13.00 | false",
        )
        .await;
    // Where the reporting day is another one, so is the month: I2 is of February in Paris, and its rate still 1.05.
    company
        .assert_with(
            &[("reporting.timezone", "Europe/Paris")],
            "select month, invoiced, collected from revenue order by month",
            "2025-01-01 | 100.00 | 120.00
             2025-02-01 | 10.51 | 0.00
             2025-03-01 | 50.00 | 33.00",
        )
        .await;
}

#[tokio::test]
async fn an_employee_brings_twelve_months_of_revenue() {
    // Twelve months are there from 2024-12 on: 120 + 60 over (2 + 4) / 2. In 2025-01 the 120 has left the window:
    // 60 + 24 over 3. Recurring 10.00 a month from 2024-12 on.
    let company = company(
        "2025-02-01T00:00:00Z",
        &[
            ("billing.customers", "customer_id\nC1"),
            (
                "billing.invoices",
                "invoice_id | customer_id | status | issued_at | subtotal | currency
                I1 | C1 | paid | 2024-01-10 | 120.00 | USD
                I2 | C1 | paid | 2024-12-10 | 60.00 | USD
                I3 | C1 | paid | 2025-01-10 | 24.00 | USD",
            ),
            (
                "billing.subscriptions",
                "subscription_id | customer_id | status | started_at
                S1 | C1 | active | 2024-12-01",
            ),
            (
                "billing.subscription_items",
                "item_id | subscription_id | quantity | unit_amount | currency | effective_from
                IT1 | S1 | 1 | 10 | USD | 2024-12-01",
            ),
            (
                "finance.headcount",
                "month | headcount
                2024-06-01 | 2
                2024-12-01 | 4",
            ),
        ],
    )
    .await;
    company
        .assert(
            "select * from revenue_per_employee where month = date '2024-06-01' or month >= date '2024-11-01'
             order by month",
            "2024-06-01 | - | - | - | 0.00 | 0 | true
             2024-11-01 | - | - | - | 0.00 | - | true
             2024-12-01 | 180.00 | 3 | 60 | 120.00 | 30 | true
             2025-01-01 | 84.00 | 3 | 28 | 120.00 | - | true",
        )
        .await;
}
