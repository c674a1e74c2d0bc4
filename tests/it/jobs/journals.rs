//! Journals that are long, and those of older releases.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Shop, ticks};

const DAILY: &str = "[[jobs]]\nname = \"daily\"\ncron = \"0 2 * * *\"\nmetrics = [\"paid\"]\n";

/// Renewals of a run of a day, every 15 seconds.
const RENEWALS: u64 = 5_760;

/// What older releases did not take down.
const NEW_KEYS: [&str; 3] = ["told", "owes_targets", "ticks"];

fn place(shop: &Shop, number: u64) -> PathBuf {
    shop.project.path(&format!("warehouse/_topline/jobs/daily/{number:020}.json"))
}

/// Returns the entries of the journal, the oldest first.
fn entries(shop: &Shop) -> Vec<Value> {
    let mut entries = Vec::new();
    while let Ok(document) = std::fs::read(place(shop, entries.len() as u64)) {
        entries.push(serde_json::from_slice(&document).expect("JSON"));
    }
    entries
}

fn write(shop: &Shop, entry: &Value) {
    let number = entry["number"].as_u64().expect("a number");
    std::fs::write(place(shop, number), entry.to_string()).expect("it is written");
}

/// Returns a shop whose job ran on three days.
async fn shop_after_three_days() -> Shop {
    let shop = Shop::new(DAILY, "2026-01-01T00:00:00Z");
    let scheduler = shop.scheduler().await;
    for now in ["01-01T00:00:00Z", "01-01T02:00:00Z", "01-02T02:00:00Z", "01-03T02:00:00Z"] {
        shop.go_to(&format!("2026-{now}"));
        scheduler.run_due().await;
    }
    shop
}

const THREE: [&str; 3] = ["01-01 02:00 done", "01-02 02:00 done", "01-03 02:00 done"];

#[tokio::test(flavor = "multi_thread")]
async fn ticks_before_a_run_that_was_renewed_for_a_day_are_still_known() {
    let shop = shop_after_three_days().await;
    let mut entry = entries(&shop).pop().expect("an entry");
    for _ in 0..RENEWALS {
        entry["number"] = json!(entry["number"].as_u64().expect("a number") + 1);
        entry["event"] = json!({ "kind": "renewed" });
        write(&shop, &entry);
    }
    let scheduler = shop.scheduler().await;
    assert_eq!(ticks(&scheduler, "daily").await, THREE);
    shop.go_to("2026-01-04T02:00:00Z");
    scheduler.run_due().await;
    assert_eq!(ticks(&scheduler, "daily").await, [THREE.as_slice(), &["01-04 02:00 done"]].concat());
    let newest = scheduler.history(Some("daily"), 2).await.expect("a journal");
    assert_eq!(newest.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_an_older_release_is_read_and_gone_on_with() {
    let shop = shop_after_three_days().await;
    let before = entries(&shop);
    for mut entry in before.clone() {
        let state = entry["state"].as_object_mut().expect("a state");
        for key in NEW_KEYS {
            assert!(state.remove(key).is_some(), "{key}");
        }
        write(&shop, &entry);
    }
    let scheduler = shop.scheduler().await;
    assert_eq!(ticks(&scheduler, "daily").await, THREE);
    let mut expected: Vec<String> = THREE.map(str::to_owned).into();
    // More of them than an entry has the numbers of.
    for day in 4..=28 {
        shop.go_to(&format!("2026-01-{day:02}T02:00:00Z"));
        scheduler.run_due().await;
        expected.push(format!("01-{day:02} 02:00 done"));
    }
    assert_eq!(ticks(&scheduler, "daily").await, expected);
    let newest = entries(&shop).pop().expect("an entry");
    let known = newest["state"]["ticks"].as_array().expect("numbers").len();
    assert!((1..25).contains(&known), "{known}");
}
