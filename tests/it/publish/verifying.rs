//! What verifying finds beside months that were tampered with: those that are missing, and documents that are.

use topline::domain::hash::sha256;
use topline::publish::{Verdict, verify};

use super::reach::REACH;
use super::{PAID, PAID_SIDECAR, PAID_SQL, Shop, payments, publish};
use crate::project::cents;

async fn verdicts(shop: &Shop, metrics: &[&str], month: Option<&str>) -> Vec<(String, Verdict)> {
    let metrics: Vec<String> = metrics.iter().map(|metric| (*metric).to_owned()).collect();
    let month = month.map(|month| month.parse().expect("a month"));
    let found = verify(&shop.open().await, &metrics, month, &|_| {}).await.expect("it verifies");
    found.into_iter().map(|found| (format!("{} {}", found.metric, found.month), found.verdict)).collect()
}

fn same(month: &str) -> (String, Verdict) {
    (month.to_owned(), Verdict::Same)
}

/// A metric that counts payments two months earlier than its sidecar says.
#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_should_be_published_and_is_not_is_found() {
    let shop = Shop::new();
    shop.project.text("models/metrics/paid.toml", &PAID_SIDECAR.replace("\n[[checks]]", REACH));
    let earlier = PAID_SQL.replace("local_month(paid_at)", "local_month(paid_at - interval '2 months')");
    shop.project.text("models/metrics/paid.sql", &earlier);
    let two = payments(["p1", "p3"], ["2026-01-15T10:00:00Z", "2026-03-15T10:00:00Z"]);
    shop.project.parquet("billing/payments/first.parquet", &two.with("amount", cents([10_000, 10_000])));
    publish(&shop.open().await, &["paid"]).await;
    let sound = [same("paid 2025-11"), same("paid 2026-01")];
    assert_eq!(verdicts(&shop, &["paid"], None).await, sound);
    shop.pay_late(5_000);
    let report = publish(&shop.open().await, &["paid"]).await;
    assert_eq!(report.computed["paid"], "2026-02", "December is not looked at");
    let why = Verdict::Different("it is not published, and computing it gives 1 row".to_owned());
    let missing = ("paid 2025-12".to_owned(), why);
    let [november, january] = sound;
    assert_eq!(verdicts(&shop, &["paid"], None).await, [november, missing.clone(), january]);
    assert_eq!(verdicts(&shop, &["paid"], Some("2025-12")).await, [missing]);
    assert_eq!(verdicts(&shop, &["paid"], Some("2026-01")).await, [same("paid 2026-01")]);
}

/// Returns the newest entry of the ledger, and what a metric was computed of: inputs, SQL and settings.
fn newest(shop: &Shop, metric: &str) -> (std::path::PathBuf, String, [String; 3]) {
    let ledger = shop.project.path("warehouse/_topline/ledger");
    let entries = std::fs::read_dir(ledger).expect("a folder").map(|entry| entry.expect("an entry").path());
    let newest = entries.max().expect("an entry");
    let text = std::fs::read_to_string(&newest).expect("it is read");
    let entry: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let covered = &entry["state"]["tables"][metric]["covered"];
    let hashes = ["inputs", "sql", "settings"].map(|name| covered[name].as_str().expect("a hash").to_owned());
    (newest, text, hashes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_gone_or_changed_is_a_word_on_its_months_alone() {
    let shop = Shop::new();
    publish(&shop.open().await, &PAID).await;
    let (entry, text, [inputs, sql, settings]) = newest(&shop, "paid");
    let place = |hash: &str| shop.project.path(&format!("warehouse/_topline/inputs/{hash}.json"));
    let months = ["2026-01", "2026-02", "2026-03"];
    let revenue = months.map(|month| same(&format!("revenue {month}")));
    let expected = |verdict: &Verdict| {
        let of_paid = months.map(|month| (format!("paid {month}"), verdict.clone()));
        [of_paid, revenue.clone()].concat()
    };
    let is_gone = |hash: &str| format!("document \"_topline/inputs/{hash}.json\" of the warehouse is gone");
    for hash in [&inputs, &sql] {
        let document = std::fs::read(place(hash)).expect("it is there");
        std::fs::remove_file(place(hash)).expect("it is there");
        assert_eq!(verdicts(&shop, &PAID, None).await, expected(&Verdict::Different(is_gone(hash))));
        std::fs::write(place(hash), b"{}").expect("it is written");
        let changed = is_gone(hash).replace("is gone", "was changed");
        assert_eq!(verdicts(&shop, &PAID, None).await, expected(&Verdict::Different(changed)));
        std::fs::write(place(hash), document).expect("it is written");
    }
    assert_eq!(verdicts(&shop, &PAID, None).await, expected(&Verdict::Same));

    // As if another release had written it, which had one setting more.
    let document = std::fs::read_to_string(place(&settings)).expect("it is there");
    let other = document.replacen("{\"settings\":{", "{\"settings\":{\"paid.grace_days\":\"3\",", 1);
    let hash = sha256(other.as_bytes());
    std::fs::write(place(&hash), &other).expect("it is written");
    std::fs::write(entry, text.replace(&settings, &hash)).expect("it is written");
    let found = verdicts(&shop, &PAID, None).await;
    let is_of_another = |verdict: &Verdict| {
        matches!(verdict, Verdict::Kept(why) if why.starts_with("it was computed by another release: ")
            && why.contains("paid.grace_days"))
    };
    assert!(found.len() == 6 && found.iter().all(|(_, verdict)| is_of_another(verdict)), "{found:?}");
}
