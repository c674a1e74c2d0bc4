//! Tests that every edge case is there at 300 accounts.

use super::*;

const AS_OF: &str = "2026-11-01T00:00:00Z";
const BEFORE_AS_OF: &str = "2026-10-31T23:59:59.999999Z";
const AFTER_AS_OF: &str = "2026-11-01T00:00:00.000001Z";

fn merges(table: &str, id: &str) -> HashMap<&'static str, &'static str> {
    let merged = rows(table).iter().filter(|row| row.contains_key("merged_into_id"));
    merged.map(|row| (get(row, id), get(row, "merged_into_id"))).collect()
}

fn wins() -> impl Iterator<Item = &'static Row> {
    rows("crm/opportunities").iter().filter(|row| get(row, "is_won") == "true" && get(row, "is_deleted") == "false")
}

#[test]
fn merges_of_every_shape_are_there() {
    for (table, id) in [("crm/accounts", "account_id"), ("crm/contacts", "contact_id"), ("crm/leads", "lead_id")] {
        let merges = merges(table, id);
        let is_live_end = |end: &str| !merges.contains_key(end) && values(table, id).contains(end);
        let next = |at: &str| merges.get(at).copied();
        let ends = |from: &str| next(from).filter(|to| *to != from).is_some_and(is_live_end);
        assert!(merges.keys().any(|from| ends(from)), "{table}: no merge");
        assert!(merges.iter().any(|(from, to)| from == to), "{table}: no row merged into itself");
        let is_cycle = |from: &&str| next(from).is_some_and(|to| to != *from && next(to) == Some(*from));
        assert!(merges.keys().any(is_cycle), "{table}: no cycle of two");
    }
    for (table, id) in
        [("crm/accounts", "account_id"), ("crm/contacts", "contact_id"), ("billing/customers", "customer_id")]
    {
        let merges = merges(table, id);
        let is_chain = |to: &&str| merges.get(to).is_some_and(|end| end != to && !merges.contains_key(end));
        assert!(merges.values().any(is_chain), "{table}: no chain");
    }
    for (table, id) in [("crm/accounts", "account_id"), ("crm/contacts", "contact_id")] {
        let ids = values(table, id);
        assert!(merges(table, id).values().any(|to| !ids.contains(to)), "{table}: no merge into nothing");
    }
}

#[test]
fn identities_of_every_shape_are_there() {
    let contacts = rows("crm/contacts");
    let emails: Vec<_> = contacts.iter().filter_map(|row| row.get("email")).collect();
    assert!(emails.iter().collect::<HashSet<_>>().len() < emails.len(), "no shared address");
    assert!(emails.iter().any(|email| email.starts_with(' ')), "no address with spaces");
    assert!(emails.iter().any(|email| email.contains("@") && **email == email.to_uppercase()));
    assert!(values("crm/accounts", "domain").contains("gmail.com"));
    assert!(rows("crm/accounts").iter().any(|row| !row.contains_key("segment")));
    let customers = rows("billing/customers");
    assert!(customers.iter().any(|row| get(row, "is_deleted") == "true"));
    assert!(customers.iter().any(|row| !row.contains_key("account_id") && row.contains_key("email")));
    let touches = rows("campaign/touches");
    let known = ["account_id", "contact_id", "lead_id", "email"];
    for column in known {
        let only = |row: &&Row| known.iter().all(|other| row.contains_key(*other) == (*other == column));
        assert!(touches.iter().filter(only).count() > 100, "touches by {column} only");
    }
    assert!(touches.iter().any(|row| known.iter().all(|column| !row.contains_key(*column))));
    let with_email = touches.iter().filter(|row| row.contains_key("email")).count();
    assert!(with_email * 5 < touches.len());
    assert!(values("crm/contacts", "created_at").iter().any(|at| at.starts_with("2024-02-29")));
    assert!(values("campaign/campaigns", "start_date").contains("2024-02-29"));
}

#[test]
fn deals_of_every_shape_are_there() {
    let deals = rows("crm/opportunities");
    assert!(deals.iter().any(|row| !row.contains_key("account_id")));
    assert!(wins().any(|row| !row.contains_key("amount")));
    assert!(wins().any(|row| get(row, "amount") == "0.00"));
    assert!(wins().any(|row| !row.contains_key("closed_at")));
    assert!(deals.iter().any(|row| get(row, "stage") == "Closed Lost" && !row.contains_key("closed_at")));
    let recorded = values("crm/opportunity_history", "opportunity_id");
    assert!(wins().any(|row| !recorded.contains(get(row, "opportunity_id"))));
    assert!(wins().any(|row| get(row, "currency") == "CHF"));
    let rates = rows("finance/fx_rates");
    let pound =
        rates.iter().filter(|row| get(row, "currency") == "GBP").map(|row| get(row, "rate_date")).min().unwrap();
    assert!(wins().any(|row| get(row, "currency") == "GBP" && get(row, "closed_at") < pound), "rates start {pound}");
    assert!(values("finance/fx_rates", "currency").contains("USD"));
    let twins = wins().filter(|row| row.contains_key("closed_at")).fold(HashMap::new(), |mut seen, row| {
        *seen.entry((get(row, "account_id"), get(row, "closed_at"))).or_insert(0) += 1;
        seen
    });
    assert!(twins.iter().any(|((_, at), count)| *count == 2 && at.ends_with("-01T00:00:00Z")));
    for (table, column) in [
        ("crm/opportunities", "closed_at"),
        ("crm/opportunities", "created_at"),
        ("crm/leads", "created_at"),
        ("crm/opportunity_history", "changed_at"),
        ("billing/invoices", "issued_at"),
        ("billing/payments", "paid_at"),
        ("billing/refunds", "refunded_at"),
        ("campaign/touches", "touched_at"),
    ] {
        let found = values(table, column);
        for edge in [BEFORE_AS_OF, AS_OF, AFTER_AS_OF] {
            assert!(found.contains(edge), "{table}.{column} has no {edge}");
        }
    }
}

#[test]
fn touches_stand_at_both_ends_of_the_lookback() {
    let found: HashSet<i64> = values("campaign/touches", "touched_at").iter().map(|at| micros(at)).collect();
    let is_edged = |row: &&Row| {
        let closed_at = micros(get(row, "closed_at"));
        let oldest = closed_at - 90 * calendar::DAY;
        [oldest - 1, oldest, closed_at, closed_at + 1].iter().all(|at| found.contains(at))
    };
    assert!(wins().filter(|row| row.contains_key("closed_at")).any(|row| is_edged(&row)));
    let touched: HashSet<_> = values("campaign/touches", "touch_id").iter().map(|id| &id[1..8]).collect();
    assert!(wins().any(|row| !touched.contains(&get(row, "opportunity_id")[1..8])), "no win without a touch");
    let first_touch = rows("campaign/touches").iter().rev().fold(HashMap::new(), |mut first, row| {
        first.insert(&get(row, "touch_id")[1..8], get(row, "touched_at"));
        first
    });
    let is_late =
        |row: &&Row| first_touch.get(&get(row, "payment_id")[1..8]).is_some_and(|at| *at > get(row, "paid_at"));
    assert!(rows("billing/payments").iter().any(|row| is_late(&row)), "no payment before the first touch");
    let is_negative = |row: &&Row| {
        let first = first_touch.get(&get(row, "lead_id")[1..8]);
        row.contains_key("converted_account_id") && first.is_some_and(|at| *at > get(row, "created_at"))
    };
    assert!(rows("crm/leads").iter().any(|row| is_negative(&row)), "no lead before the first touch");
}

#[test]
fn billing_of_every_shape_is_there() {
    let items = rows("billing/subscription_items");
    assert!(items.iter().any(|row| get(row, "unit_amount").starts_with('-')));
    assert!(items.iter().any(|row| get(row, "quantity").starts_with('-')));
    assert!(items.iter().any(|row| get(row, "effective_from") > "2026-11-01"));
    assert!(items.iter().any(|row| get(row, "effective_to") == "2026-11-01"));
    assert!(items.iter().any(|row| get(row, "discount_pct") == "100.0000"));
    for interval in ["day", "week", "month", "year"] {
        assert!(items.iter().any(|row| get(row, "interval") == interval), "{interval}");
    }
    for (table, expected) in [
        ("billing/subscriptions", &["active", "canceled", "trialing", "unpaid"][..]),
        ("billing/invoices", &["paid", "open", "void", "draft", "uncollectible"][..]),
        ("billing/payments", &["succeeded", "failed", "pending"][..]),
    ] {
        let found = values(table, "status");
        let missing: Vec<_> = expected.iter().filter(|status| !found.contains(**status)).collect();
        assert!(missing.is_empty(), "{table}: no {missing:?}");
    }
    let paid: HashMap<_, _> =
        rows("billing/payments").iter().map(|row| (get(row, "payment_id"), get(row, "amount"))).collect();
    let is_full = |row: &&Row| paid[get(row, "payment_id")] == get(row, "amount");
    let refunds = rows("billing/refunds");
    assert!(refunds.iter().any(|row| is_full(&row)) && refunds.iter().any(|row| !is_full(&row)));
}
