//! The hard cases, each of which some of the companies must hold.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::calendar::{day, month, start};
use super::company::{Company, Touch};
use super::generate::{Rest, companies};
use super::identity::{Identity, survivor};
use super::{Row, attribution, config, recurring, time_to_revenue};

/// What a case is, and whether a company with these expected rows holds it.
type Case = (&'static str, fn(&Company, &[Row]) -> bool);

const SALES: [Case; 15] = [
    ("touches of a deal at one instant", |_, rows| {
        let linear: Vec<&Row> = rows.iter().filter(|row| row.cells[1] == "linear").collect();
        linear.windows(2).any(|pair| pair[0].cells[0] == pair[1].cells[0] && pair[0].cells[6] == pair[1].cells[6])
    }),
    ("a touch at the start of the lookback", |company, rows| has_touch_at(company, rows, company.lookback_days)),
    ("a touch at the closing", |company, rows| has_touch_at(company, rows, 0)),
    ("three touches of a deal or more", |_, rows| {
        rows.iter().any(|row| row.cells[10].parse::<u32>().is_ok_and(|touches| touches >= 3))
    }),
    ("a deal without a touch", |_, rows| rows.iter().any(|row| row.cells[7] == "(unattributed)")),
    ("a deal without an account", |_, rows| rows.iter().any(|row| row.cells[5] == "NULL")),
    ("a win at as_of", |company, _| {
        company.opportunities.values().any(|deal| deal.is_won && deal.closed_at == Some(company.as_of))
    }),
    ("a win without an amount", |_, rows| {
        rows.iter().any(|row| row.cells[11] == "0.00" && row.doubles[0] == Some(1.0))
    }),
    ("a currency without a rate", |company, _| company.opportunities.values().any(|deal| deal.currency == "JPY")),
    ("a win before the pound has a rate", |company, _| {
        let first = company.rates.keys().find(|(currency, _)| *currency == "GBP");
        first.is_some_and(|(_, first)| {
            company
                .opportunities
                .values()
                .any(|deal| deal.currency == "GBP" && deal.closed_at.is_some_and(|at| day(company.zone, at) < *first))
        })
    }),
    ("a merge into a merged row", |company, _| {
        company.accounts.iter().any(|(id, row)| {
            let end = survivor(&company.accounts, id, |row| row.merged_into.as_deref());
            end != row.merged_into && end.as_ref() != Some(id)
        })
    }),
    ("a merge cycle", |company, _| {
        let into = |id: &String| company.accounts.get(id).and_then(|row| row.merged_into.as_ref());
        company.accounts.keys().any(|id| into(id).is_some_and(|next| next != id && into(next) == Some(id)))
    }),
    ("an account known by an email alone", |company, _| {
        let identity = Identity::of(company);
        let others = |touch: &Touch| [&touch.account, &touch.contact, &touch.lead].iter().all(|id| id.is_none());
        company.touches.iter().any(|(id, touch)| others(touch) && identity.account_of_touch(id).is_some())
    }),
    ("free mail", |company, _| company.touches.values().any(|touch| touch.email == Some("eve@gmail.com"))),
    ("contact roles", |company, rows| {
        company.has_contact_roles && rows.iter().any(|row| row.cells[7] != "(unattributed)")
    }),
];

const SUBSCRIPTIONS: [Case; 9] = [
    ("new", |_, rows| has_movement(rows, "new")),
    ("expansion", |_, rows| has_movement(rows, "expansion")),
    ("contraction", |_, rows| has_movement(rows, "contraction")),
    ("churn", |_, rows| has_movement(rows, "churn")),
    ("reactivation", |_, rows| has_movement(rows, "reactivation")),
    ("an exchange rate that moves", |_, rows| rows.iter().any(|row| row.cells[6] != "0.00")),
    ("an item that ends with a month", |company, _| {
        company.items.values().any(|item| item.to.is_some_and(|to| to == month(to)))
    }),
    ("a trial that ends where a month starts", |company, _| {
        company
            .subscriptions
            .values()
            .filter_map(|row| row.trial_ends_at)
            .any(|at| at == start(company.zone, month(day(company.zone, at))))
    }),
    ("an entity of two customers", |company, _| {
        let identity = Identity::of(company);
        let entities: Vec<_> = company.customers.keys().filter_map(|id| identity.entity(id)).collect();
        entities.iter().any(|one| entities.iter().filter(|other| one == *other).count() > 1)
    }),
];

const PAYMENTS: [Case; 8] = [
    ("paid", |_, rows| rows.iter().any(|row| row.cells[8] == "paid")),
    ("won_unpaid", |_, rows| rows.iter().any(|row| row.cells[8] == "won_unpaid")),
    ("open", |_, rows| rows.iter().any(|row| row.cells[8] == "open")),
    ("lost", |_, rows| rows.iter().any(|row| row.cells[8] == "lost")),
    ("lead", |_, rows| rows.iter().any(|row| row.cells[8] == "lead")),
    ("no days at all", |_, rows| rows.iter().any(|row| row.doubles[4] == Some(0.0))),
    ("a payment given back in full", |company, _| has_refund(company, |given_back, amount| given_back >= amount)),
    ("a payment given back in part", |company, _| has_refund(company, |given_back, amount| given_back < amount)),
];

fn has_movement(rows: &[Row], movement: &str) -> bool {
    rows.iter().any(|row| row.cells[4] == movement)
}

fn has_touch_at(company: &Company, rows: &[Row], days: i64) -> bool {
    rows.iter().any(|row| {
        let closed_at = company.opportunities[&row.cells[0]].closed_at;
        closed_at.is_some_and(|closed_at| row.cells[6] == (closed_at - days * 86_400_000_000).to_string())
    })
}

fn has_refund(company: &Company, is_wanted: fn(i128, i128) -> bool) -> bool {
    company.payments.iter().any(|(id, payment)| {
        let given_back = time_to_revenue::refunded(company, id);
        payment.amount > 0 && given_back > 0 && is_wanted(given_back, payment.amount)
    })
}

fn assert_held(rest: Rest, expected: fn(&Company) -> Vec<Row>, cases: &[Case]) {
    let config = config();
    let count = config.cases;
    let mut runner = TestRunner::new(config);
    let strategy = companies(rest);
    let found: Vec<Company> =
        (0..count).map(|_| strategy.new_tree(&mut runner).expect("a company").current()).collect();
    let found: Vec<(&Company, Vec<Row>)> = found.iter().map(|company| (company, expected(company))).collect();
    let missing: Vec<&str> = cases
        .iter()
        .filter(|(_, holds)| !found.iter().any(|(company, rows)| holds(company, rows)))
        .map(|(name, _)| *name)
        .collect();
    assert!(missing.is_empty(), "no company holds: {}", missing.join("; "));
}

#[test]
fn the_companies_hold_every_hard_case() {
    assert_held(Rest::Sales, attribution::expected, &SALES);
    assert_held(Rest::Subscriptions, recurring::expected, &SUBSCRIPTIONS);
    assert_held(Rest::SalesAndPayments, time_to_revenue::expected, &PAYMENTS);
}
