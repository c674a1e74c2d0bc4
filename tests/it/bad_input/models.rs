//! Models that do not parse, do not fit together, or do not give what the contract asks for.

use crate::company;
use crate::project::{Project, Table, answer, assert_says, cents, integers, texts};

/// Returns the company with a raw source beside it and a folder of models.
fn with_models(models: &[(&str, &str)]) -> Project {
    let project = Project::new();
    company::lay_out(&project);
    let more = "[sources.shop]\nconnector = \"raw\"\nlocation = \"shop\"\n[models]\nlocation = \"models\"\n";
    project.text("topline.toml", &format!("{}{more}", company::CONFIGURATION));
    let stages = Table::new().with("name", texts(["open", "won", "won"])).with("place", integers([1, 2, 3]));
    project.parquet("shop/stages.parquet", &stages.with("price", cents([1, 2, 3])));
    for (file, text) in models {
        project.text(&format!("models/{file}"), text);
    }
    project
}

#[tokio::test]
async fn every_model_that_does_not_parse_is_named_with_its_line() {
    let project = with_models(&[
        ("metrics/broken.sql", "select month\nfrom nrr\nwhere and month > 1"),
        ("metrics/two.sql", "select 1 as x; select 2 as x"),
        ("metrics/nothing.sql", "-- to do\n"),
        ("metrics/writing.sql", "create table x as select 1"),
        ("metrics/Upper Case.sql", "select 1 as x"),
        ("metrics/sidecar.sql", "select 1 as x"),
        ("metrics/sidecar.toml", "description = \"x\"\nownr = \"me\"\n"),
        ("shop/stages.sql", "select 1 as x"),
    ]);
    assert_says(
        &project.fault().await,
        r#"Model: the models are wrong: 7 problems
  DIR/models/metrics/Upper Case.sql: a model's name has small letters, digits and _ only
  DIR/models/shop: models are for one of the schemas crm, billing, campaign, finance, core, metrics, quality
  DIR/models/metrics/sidecar.toml:2:1: unknown key "ownr"; hint: known are description, grain, key, period, needs, columns, operator, beside, metric, measures, checks, parts, apart, totals, rule, each, weeks_of, publish, once, reach
  DIR/models/metrics/broken.sql:3:11: syntax error: expected: end of statement, found: month
  DIR/models/metrics/nothing.sql: expected one select, found 0 statements
  DIR/models/metrics/two.sql: expected one select, found 2 statements
  DIR/models/metrics/writing.sql: expected a select, found another statement"#,
    );
}

#[tokio::test]
async fn models_that_do_not_fit_together_are_named_with_file_and_line() {
    let project = with_models(&[
        ("core/here.sql", "select *\nfrom core.there"),
        ("core/there.sql", "select *\nfrom core.here"),
        ("core/high.sql", "select month\nfrom metrics.nrr"),
        ("metrics/unknown.sql", "select 1 as x\nfrom\n    core.conversion"),
        ("metrics/bare.sql", "select 1 as x\nfrom churnrate"),
        ("metrics/itself.sql", "select * from metrics.itself"),
    ]);
    assert_says(
        &project.fault().await,
        r#"Model: the models are wrong: 5 problems
  DIR/models/core/high.sql:2: "core.high" reads "metrics.nrr", which is on a floor above; hint: move what both need into a lower schema
  DIR/models/metrics/bare.sql:2: reads "metrics.churnrate", which is neither a model nor a source table
  DIR/models/metrics/unknown.sql:3: reads "core.conversion", which is neither a model nor a source table; hint: did you mean "core.conversions"?
  DIR/models/core/there.sql:2: models read each other in a circle: core.here -> core.there -> core.here; hint: move what both need into a third
  DIR/models/metrics/itself.sql:1: models read each other in a circle: metrics.itself -> metrics.itself; hint: move what both need into a third"#,
    );
}

#[tokio::test]
async fn a_model_of_a_raw_table_that_is_not_there_is_named_with_the_nearest() {
    let project = with_models(&[
        ("metrics/one.sql", "select 1 as x\nfrom shop.stage"),
        ("crm/stages.sql", "select name as stage from\n\nshop.orders"),
    ]);
    assert_says(
        &project.fault().await,
        r#"Model: the models are wrong: 2 problems
  DIR/models/crm/stages.sql:3: reads "shop.orders", which is neither a model nor a source table
  DIR/models/metrics/one.sql:2: reads "shop.stage", which is neither a model nor a source table; hint: did you mean "shop.stages"?"#,
    );
}

#[tokio::test]
async fn a_missing_folder_of_models_is_named() {
    let project = with_models(&[]);
    assert_says(
        &project.fault().await,
        r#"Model: [models] location "DIR/models" is no folder that can be read; hint: a relative one counts from the folder of the configuration file"#,
    );
}

#[tokio::test]
async fn every_model_that_does_not_plan_is_named_when_the_project_opens() {
    let project = with_models(&[
        ("crm/stages.sql", "select name as stage, price as positon, 'no' as is_closed from shop.stages"),
        ("billing/refunds.sql", "select nam as refund_id from shop.stages"),
        ("metrics/mine.sql", "select\n    setting('attribution.lookback_day') as days"),
        ("metrics/reads_both.sql", "select stages.stage from crm.stages inner join billing.refunds on true"),
        ("quality/calls.sql", "select lenght(name) as letters, sum(name) as names from shop.stages"),
    ]);
    assert_says(
        &project.fault().await,
        r#"Model: the models are wrong: 6 problems
  DIR/models/billing/refunds.sql: column "nam" does not exist; hint: did you mean "name"?
  DIR/models/crm/stages.sql: required column "position" (bigint) is missing; hint: is it "positon"?
  DIR/models/crm/stages.sql: column "is_closed": expected boolean, found text
  DIR/models/crm/stages.sql: required column "is_won" (boolean) is missing
  DIR/models/metrics/mine.sql: unknown setting "attribution.lookback_day"; hint: did you mean "attribution.lookback_days"?
  DIR/models/quality/calls.sql: function "lenght" does not exist; hint: did you mean "length"?"#,
    );
}

#[tokio::test]
async fn a_model_that_does_not_parse_is_the_only_problem_of_its_readers() {
    let project = with_models(&[("core/conversions.sql", "select month\nfrom core.spend\nwhere and month > 1")]);
    assert_says(
        &project.fault().await,
        "Model: DIR/models/core/conversions.sql:3:11: syntax error: expected: end of statement, found: month",
    );
}

#[tokio::test]
async fn keys_and_nulls_of_a_contract_model_are_named() {
    let project = with_models(&[(
        "crm/stages.sql",
        "select name as stage, nullif(place, 1) as position, false as is_closed, false as is_won from shop.stages",
    )]);
    assert_says(
        &project.query_fault("select * from crm.stages").await,
        r#"Source: the sources do not hold what the contract asks for: 2 problems
  DIR/models/crm/stages.sql: required column "position" is NULL in 1 row
  crm.stages: the key stage is not unique: won (2 rows)"#,
    );
}

#[tokio::test]
async fn a_contract_model_is_not_rounded_behind_its_back() {
    let costs = "select date '2026-01-01' as month, 'sales' as department, 'tools' as category, 'USD' as currency,";
    let lossy = format!("{costs} cast(price as double) / 4 as amount from shop.stages");
    let project = with_models(&[("finance/costs.sql", &lossy)]);
    assert_says(
        &project.query_fault("select * from finance.costs").await,
        r#"Source: DIR/models/finance/costs.sql: column "amount" does not fit decimal(18,2) without loss in 3 rows, such as 0.0025; hint: round it in the model"#,
    );
    let good = format!("{costs} cast(price as double) as amount from shop.stages");
    let project = with_models(&[("finance/costs.sql", &good)]);
    let engine = project.open().await.expect("the project opens");
    assert_eq!(answer(&engine, "select sum(amount) from finance.costs").await.expect("a sum"), ["0.06"]);
}
