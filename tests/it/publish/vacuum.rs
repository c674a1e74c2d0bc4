//! What can be taken away of a warehouse, and what stays for ever.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, SystemTime};

use topline::publish::{Leftovers, Verdict, vacuum, verify};

use super::{PAID, Shop, publish, rows};

/// Days after which files may go.
const DAYS: u32 = 7;

/// Makes a file of the warehouse as old as files are that nobody writes any more.
fn age(shop: &Shop, name: &str) {
    let path = shop.project.path("warehouse").join(name);
    let at = SystemTime::now() - Duration::from_secs(86_400 * 8);
    File::options().write(true).open(path).and_then(|file| file.set_modified(at)).expect("a file of one's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_no_version_reaches_goes_and_every_version_answers() {
    let shop = Shop::new();
    let engine = shop.open().await;
    let listed = vacuum(&engine, DAYS, Leftovers::AreRemoved).await.expect("an empty warehouse");
    assert!(listed.is_empty());
    publish(&engine, &PAID).await;
    for cents in [5_000, 6_000] {
        shop.pay_late(cents);
        publish(&engine, &PAID).await;
    }
    let february =
        |version: u64| format!("select paid from as_of_version('paid', {version}) where month = '2026-02-01'");
    let answers = async |engine: &topline::engine::Engine| {
        let mut found = Vec::new();
        for version in 0..3 {
            found.extend(rows(engine, &february(version)).await);
        }
        found.extend(rows(engine, "select value_before, value_after from meta.restatements order by 1").await);
        found
    };
    let before = answers(&engine).await;
    let left = [
        "published/paid/month=2026-02-01/part-left.parquet",
        "published/paid/_delta_log/00000000000000000009.json.unfinished-1",
        "published/gone/month=2026-01-01/part-left.parquet",
        "_topline/restatements/part-left.parquet",
        "_topline/ledger/00000000000000000009.json.unfinished-1",
    ];
    let young = "published/paid/month=2026-02-01/part-young.parquet";
    // A run that is under way may be about to name it.
    let document = "_topline/inputs/0000.json";
    for name in left.into_iter().chain([young, document]) {
        shop.project.text(&format!("warehouse/{name}"), "left behind");
    }
    for name in shop.listing().keys().filter(|name| *name != young) {
        age(&shop, name);
    }
    let all = shop.listing();
    let engine = shop.open().await;
    let names = |files: &[topline::lake::OldFile]| files.iter().map(|file| file.path.clone()).collect::<BTreeSet<_>>();
    let expected: BTreeSet<String> = left.map(str::to_owned).into();
    assert_eq!(names(&vacuum(&engine, DAYS, Leftovers::AreListed).await.expect("it lists")), expected);
    assert_eq!(shop.listing(), all, "a list changes nothing");
    assert_eq!(names(&vacuum(&engine, DAYS, Leftovers::AreRemoved).await.expect("it removes")), expected);
    let kept: BTreeSet<String> = all.into_keys().filter(|name| !expected.contains(name)).collect();
    assert_eq!(shop.listing().into_keys().collect::<BTreeSet<_>>(), kept);
    assert!(vacuum(&engine, DAYS, Leftovers::AreRemoved).await.expect("nothing is left").is_empty());
    let engine = shop.open().await;
    assert_eq!(answers(&engine).await, before);
    let found = verify(&engine, &[], None, &|_| {}).await.expect("it verifies");
    assert!(found.iter().all(|found| found.verdict == Verdict::Same), "{found:?}");
    shop.pay_late(7_000);
    assert_eq!(publish(&engine, &PAID).await.version, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_list_take_away_and_export() {
    let shop = Shop::new();
    let run = |arguments: &[&str]| {
        let output = shop.command(arguments).output().expect("the binary runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    run(&["materialize", "paid"]);
    let left = "published/paid/month=2026-02-01/part-left.parquet";
    shop.project.text(&format!("warehouse/{left}"), "left behind");
    age(&shop, left);
    assert!(run(&["vacuum"]).ends_with("1 file of 11 bytes can go: topline vacuum --remove takes them away\n"));
    assert_eq!(run(&["vacuum", "--remove", "--format", "json"]).matches("part-left").count(), 1);
    assert_eq!(run(&["vacuum"]), "nothing to take away: the ledger reaches every file, or it is younger\n");
    for what in ["paid", "published.paid", "select * from as_of_version('paid', 0)"] {
        run(&["export", what, "--to", "out.csv"]);
        let text = std::fs::read_to_string(shop.project.path("out.csv")).expect("a file");
        assert!(text.starts_with("month,paid,payments,is_complete") && text.lines().count() == 4, "{text}");
        run(&["export", what, "--to", "out.parquet"]);
        assert_eq!(&std::fs::read(shop.project.path("out.parquet")).expect("a file")[..4], b"PAR1");
    }
}
