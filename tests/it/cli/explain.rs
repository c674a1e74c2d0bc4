//! `topline explain` and `topline diff`.

use super::Desk;

#[test]
fn a_ratio_is_explained_by_its_records() {
    let page = Desk::new().run(&["explain", "nrr", "--month", "2026-09", "--limit", "5"]).good();
    insta::assert_snapshot!(page, @r#"
    nrr.nrr 2026-09-01  Net revenue retention

    table_name    source_key  label                   part  numerator  denominator   effect
    ───────────────────────────────────────────────────────────────────────────────────────
    crm.accounts  A0000083    Tidalfield Group      0.1047    7057.99      7057.99   0.0041
    crm.accounts  A0000152    Harborside Media      0.0767    5171.25      5171.25   0.0029
    crm.accounts  A0000022    Brightpeak Analytics  0.0682    4602.00      4602.00   0.0026
    crm.accounts  A0000176    Acornside Logistics   0.0682    4602.00      4602.00   0.0026
    crm.accounts  A0000014    Falconpeak Partners   0.0665    4485.00      6591.00  -0.0308
    total of 67 records, 5 shown: 65049.28 / 67433.09 = 0.9646492545425399
    which is nrr of metrics.nrr
    "#);
}

#[test]
fn a_sum_is_explained_under_a_condition_and_the_model_that_is_meant() {
    let page = Desk::new()
        .run(&[
            "explain",
            "attribution_by_channel",
            "--month",
            "2026-09",
            "--where",
            "channel = 'email'",
            "--limit",
            "3",
        ])
        .good();
    insta::assert_snapshot!(page, @r#"
    attribution_by_channel.revenue 2026-09-01  Attributed revenue by channel
    where channel = 'email'
    where model = 'linear'

    table_name         source_key   label                         part
    ──────────────────────────────────────────────────────────────────
    crm.opportunities  O0000023-00  bluerock-labs - new        8213.40
    crm.opportunities  O0000165-00  cedarlake-analytics - new  5858.38
    crm.opportunities  O0000140-00  northgrid-partners - new   3779.14
    total of 7 records, 3 shown: 20172.04
    which is revenue of metrics.attribution_by_channel
    "#);
}

#[test]
fn programs_read_every_record() {
    let desk = Desk::new();
    let arguments = ["explain", "mrr_movements.expansion", "--month", "2026-09-01", "--format"];
    let rows = desk.run(&[&arguments[..], &["json"]].concat()).json();
    let rows = rows.as_array().expect("rows");
    assert!(rows.len() > 1 && rows[0]["table_name"] == "crm.accounts", "{rows:?}");
    let sum: f64 = rows.iter().map(|row| row["part"].as_f64().expect("a part")).sum();
    let shown = desk.query("select expansion from mrr_movements where month = date '2026-09-01'", "json").json();
    assert!((sum - shown[0]["expansion"].as_f64().expect("a sum")).abs() < 0.005, "{sum} and {shown}");
    let csv = desk.run(&[&arguments[..], &["csv"]].concat()).good();
    assert_eq!(csv.lines().count(), rows.len() + 1);
}

#[test]
fn every_mistake_of_a_call_is_named() {
    let fault = |arguments: &[&str]| Desk::new().run(arguments).fault();
    insta::assert_snapshot!(fault(&["explain", "cac_by_chanel", "--month", "2026-9"]), @r#"
    error: the arguments are wrong: 2 problems
      metric "cac_by_chanel" does not exist; hint: did you mean "cac_by_channel"?
      expected a period such as 2026-06 or 2026-06-01, found "2026-9"
    "#);
    insta::assert_snapshot!(
        fault(&["explain", "cac_by_channel", "--month", "2026-13", "--where", "chanel = 'email'"]), @r#"
        error: the arguments are wrong: 2 problems
          expected a period such as 2026-06 or 2026-06-01, found "2026-13"
          filter "chanel = 'email'": there is no dimension "chanel"; hint: did you mean "channel"?
        "#);
    insta::assert_snapshot!(fault(&["explain", "nrr", "--month", "2036-09"]), @r#"
    error: view "metrics.nrr" has no month 2036-09-01
    hint: it goes from 2024-05-01 to 2026-10-01
    "#);
    insta::assert_snapshot!(fault(&["explain", "time_to_revenue_monthly", "--month", "2026-09"]), @r#"
    error: metric "time_to_revenue_monthly" is not made of records: it is no sum and no ratio of sums
    hint: there are time_to_revenue_monthly.customers, time_to_revenue_monthly.mean_days
    "#);
    insta::assert_snapshot!(fault(&["explain", "win_rate_by_stage", "--month", "2026-09"]), @r#"
    error: metric "win_rate_by_stage.win_rate" has one number for each stage
    hint: name one in the filter: stage = '...'
    "#);
    insta::assert_snapshot!(fault(&["query", "select * from metric_by('nrr', 'segmnt')"]), @r#"
    error: metric "nrr.nrr" has no dimension "segmnt"
    hint: did you mean "segment"?
    "#);
    insta::assert_snapshot!(fault(&["query", "select * from metric_by('nrr')"]), @"error: expected metric_by('METRIC', 'DIMENSION' [, 'FILTER']), each argument a text in quotes");
    insta::assert_snapshot!(
        fault(&["query", "select * from metric_by('nrr', 'segment', 'segment in (select name from crm.accounts)')"]),
        @r#"
        error: the arguments are wrong: 2 problems
          filter "segment in (select name from crm.accounts)": expected a condition on dimensions, found a query
          filter "segment in (select name from crm.accounts)": there is no dimension "name"; hint: there are country, industry, segment, source_key, table_name
        "#);
}

/// A change to two views: one with other values, one with other rows.
fn changed_models(desk: &Desk) {
    std::fs::create_dir_all(desk.path().join("changed/metrics")).expect("a folder");
    desk.write(
        "changed/metrics/arpa.sql",
        "select month, closing as mrr, customers_closing + 1 as customers, cast(null as double) as arpa, is_complete\n\
         from metrics.mrr_movements\nwhere month <> date '2026-10-01'\n",
    );
    let toml = include_str!("../../../sql/metrics/arpa.toml");
    let toml = toml.split("\n[[").next().expect("what stands before laws and parts");
    let (description, other) = toml.split_once("[reach]").expect("how far what it reads reaches");
    let (_, metric) = other.split_once("[metric]").expect("what the metric is");
    desk.write("changed/metrics/arpa.toml", &format!("{description}[metric]{metric}"));
}

#[test]
fn a_difference_is_told_by_row_and_column() {
    let desk = Desk::new();
    changed_models(&desk);
    let page = desk.run(&["diff", "--against", "changed", "arpa", "nrr", "--limit", "4"]).good();
    insta::assert_snapshot!(page, @r#"
    before: the sample, built-in models
    after:  the sample, models of changed

    arpa: 29 rows changed, 0 added, 1 removed of 30 before and 29 after
    in 30 periods from 2024-05-01 to 2026-10-01
    column       rows  sum of differences
    arpa           29          -20,166.05
    customers      30              -53.00
    is_complete     1
    mrr             1          -76,672.34

    row         column     before  after  difference
    2024-05-01  customers       0      1        1.00
    2024-06-01  customers       2      3        1.00
    2024-06-01  arpa       432.29   NULL     -432.29
    2024-07-01  customers       4      5        1.00

    the same: nrr
    "#);
    let all = desk.run(&["diff", "--against", "changed", "--format", "json"]).json();
    let metrics = all["metrics"].as_array().expect("metrics");
    let differ: Vec<_> = metrics
        .iter()
        .filter(|metric| metric["changed"] != 0 || metric["removed"] != 0)
        .map(|metric| metric["metric"].as_str().expect("a name"))
        .collect();
    assert!(differ.contains(&"arpa") && !differ.contains(&"nrr"), "{differ:?}");
    assert!(metrics.iter().any(|metric| metric["metric"] == "attribution" && metric["rows_before"] != 0));
}

#[test]
fn a_difference_needs_two_sides() {
    let desk = Desk::new();
    changed_models(&desk);
    insta::assert_snapshot!(desk.run(&["diff", "--against", "nothing"]).fault(), @r#"
    error: --against "nothing" does not exist
    hint: name a configuration file or a folder of models
    "#);
    insta::assert_snapshot!(desk.run(&["diff", "--against", "changed", "apra", "nr"]).fault(), @r#"
    error: metrics that do not exist: 2 problems
      view "metrics.apra" is on neither side; hint: did you mean "arpa"?
      view "metrics.nr" is on neither side; hint: did you mean "nrr"?
    "#);
}
