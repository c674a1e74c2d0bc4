//! Rules of schema `quality`: the user's own, and the configuration of all of them.

use crate::company;
use crate::project::{Project, answer, assert_says};

/// Returns the company with more in its configuration, and a folder of models.
fn with_rules(more: &str, models: &[(&str, &str)]) -> Project {
    let project = Project::new();
    company::lay_out(&project);
    let models_section = "[models]\nlocation = \"models\"\n";
    project.text("topline.toml", &format!("{}{models_section}{more}", company::CONFIGURATION));
    project.text("models/README.md", "Rules of ours.\n");
    for (file, text) in models {
        project.text(&format!("models/{file}"), text);
    }
    project
}

const UNNAMED: &str = "select 'crm.opportunities' as table_name, opportunity_id as record_id from crm.opportunities";

#[tokio::test]
async fn a_rule_of_ones_own_is_one_of_all() {
    let rule = "description = \"A deal's name doesn't say what it is.\"\n[rule]\nseverity = \"warning\"\n\
        advice = \"Name it.\"\ntables = [\"crm.opportunities\"]\n";
    let project = with_rules(
        "[quality]\ndisable = [\"missing_amount\"]\n",
        &[
            ("quality/unnamed_deal.sql", UNNAMED),
            ("quality/unnamed_deal.toml", rule),
            ("quality/late.sql", UNNAMED),
            ("quality/late.toml", "[rule]\nis_optional = true\n"),
            ("quality/no_rule.sql", "select 1 as x"),
        ],
    );
    let engine = project.open().await.expect("the project opens");
    let ask = async |sql: &str| answer(&engine, sql).await.expect("an answer");
    assert_eq!(
        ask("select severity, table_name, column_name, details, count(*) > 0 from quality.violations \
            where rule = 'unnamed_deal' group by 1, 2, 3, 4")
        .await,
        ["warning | crm.opportunities |  |  | true"]
    );
    assert_eq!(
        ask("select * from quality.rules where is_custom or rule in ('missing_amount', 'orphan_key') order by rule")
            .await
            .iter()
            .map(|row| row.split(" | ").filter(|part| part.len() < 40).collect::<Vec<_>>().join(" | "))
            .collect::<Vec<_>>(),
        [
            "late | error |  |  |  | false | true | true",
            "missing_amount | error | crm.opportunities | false | false | false",
            "orphan_key | warning | false | true | false",
            "unnamed_deal | warning | A deal's name doesn't say what it is. | Name it. | crm.opportunities \
                | true | false | true",
        ]
    );
    assert_eq!(ask("select count(*) from quality.violations where rule in ('late', 'missing_amount')").await, ["0"]);
    assert_eq!(ask("select count(*) > 0 from quality.late").await, ["true"], "a rule that is off can be looked at");
}

#[tokio::test]
async fn a_model_without_a_sidecar_keeps_that_of_the_one_it_replaces() {
    let project = with_rules(
        "",
        &[
            ("quality/missing_amount.sql", UNNAMED),
            ("quality/rules.sql", "select 'none' as rule"),
            (
                "core/contact_identity.sql",
                "select contact_id, merged_into_id, contact_id as live_contact_id, false as is_in_cycle from crm.contacts",
            ),
        ],
    );
    let engine = project.open().await.expect("the project opens");
    let ask = async |sql: &str| answer(&engine, sql).await.expect("an answer");
    let broken = "select severity, count(*) > 1 from quality.violations where rule = 'missing_amount' group by 1";
    assert_eq!(ask(broken).await, ["error | true"]);
    assert_eq!(ask("select rule from quality.rules").await, ["none"], "it is one select, not one for each rule");
    assert_eq!(
        ask("select grain, is_custom from meta.models where model_name = 'contact_identity'").await,
        ["contact | true"]
    );
}

#[tokio::test]
async fn a_rule_without_its_columns_is_named_when_the_project_opens() {
    let project = with_rules(
        "",
        &[("quality/odd.sql", "select 'crm.accounts' as tabel_name, 7 as record_id"), ("quality/odd.toml", "[rule]\n")],
    );
    assert_says(
        &project.fault().await,
        r#"Model: the models are wrong: 2 problems
  DIR/models/quality/odd.sql: required column "table_name" (text) is missing; hint: is it "tabel_name"?
  DIR/models/quality/odd.sql: column "record_id": expected text, found bigint"#,
    );
}

#[tokio::test]
async fn a_rule_of_another_schema_and_names_that_nothing_has_are_refused_at_once() {
    let project = with_rules(
        "[quality]\nenable = [\"orphan_keys\"]\ndisable = [\"missing_amout\", \"odd\"]\n\
        [quality.required_fields]\nDemo = [\"amuont\"]\n\
        [quality.name_patterns]\ncampains.name = \"x\"\nstages.title = \"x\"\n",
        &[
            ("quality/odd.sql", UNNAMED),
            ("quality/odd.toml", "[rule]\nseverity = \"bad\"\n"),
            ("core/odd.sql", UNNAMED),
            ("core/odd.toml", "[rule]\n"),
        ],
    );
    let fault = project.fault().await;
    assert_says(
        &fault,
        r#"Model: the models are wrong: 7 problems
  DIR/models/quality/odd.toml:2:12: unknown variant "bad", expected "error" or "warning"
  DIR/models/core/odd.toml: "core.odd" has [rule]; hint: rules are models of schema quality
  [quality] enable: there is no rule "orphan_keys"; hint: did you mean "orphan_key"?
  [quality] disable: there is no rule "missing_amout"; hint: did you mean "missing_amount"?
  [quality.required_fields] Demo: crm.opportunities has no column "amuont"; hint: did you mean "amount"?
  [quality.name_patterns] stages: crm.stages has no column "title"; hint: there are stage, position, is_closed, is_won
  [quality.name_patterns]: there is no table "campains"; hint: did you mean "campaigns"?"#,
    );
}
