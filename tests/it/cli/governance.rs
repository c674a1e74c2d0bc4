//! Who answers for a metric, and what it should be: as the configuration and the user's folder decide it.

use super::check::desk_with;
use super::{Desk, Run};

const DECIDED: &str = r#"
[metrics.cac]
target = 1200
threshold = 100.5
owner = "Ann"
[metrics."cac:email"]
target = 300
action_plan = "Send fewer."
[metrics.grr]
label = "What stays"
cadence = "quarterly"
direction = "up"
"#;

/// What is asked of the registry.
const ASKED: &str = "select metric, \"view\", label, owner, target, threshold, cadence, left(action_plan, 12) as plan \
    from meta.metrics where metric like 'cac%' and metric <> 'cac_by_channel' or metric in ('nrr', 'grr') order by metric";

fn decide(desk: &Desk, text: &str) {
    let config = std::fs::read_to_string(desk.path().join("topline.toml")).expect("a configuration");
    desk.write("topline.toml", &format!("{config}{text}"));
}

fn fault(run: Run) -> String {
    assert_eq!((run.code, run.out.as_str()), (Some(1), ""));
    run.err
}

#[test]
fn the_configuration_decides_about_metrics_and_their_parts() {
    let desk = desk_with(&[]);
    decide(&desk, &DECIDED.replace("[metrics.grr]", "[metrics.nrr]"));
    insta::assert_snapshot!(desk.query(ASKED, "csv").good(), @r"
    metric,view,label,owner,target,threshold,cadence,plan
    cac,cac,Customer acquisition cost,Ann,1200.0,100.5,monthly,Find the cha
    cac:email,cac,Customer acquisition cost,Ann,300.0,100.5,monthly,Send fewer.
    grr,nrr,Gross revenue retention,Head of Customer Success,,,monthly,List churn a
    nrr,nrr,What stays,Head of Customer Success,1.0,0.01,quarterly,Look at nrr_
    ");
    let described = desk.run(&["describe", "cac", "--format", "json"]).json();
    assert_eq!((&described["metric"]["owner"], &described["metric"]["target"]), (&"Ann".into(), &1200.0.into()));
}

#[test]
fn a_sidecar_without_sql_changes_the_registry_and_adds_laws() {
    let desk = desk_with(&[(
        "metrics/nrr.toml",
        "[metric]\nowner = \"Bob\"\n[measures.net]\nlabel = \"Net\"\nunit = \"ratio\"\ncolumn = \"nrr\"\n\
         cadence = \"monthly\"\ndirection = \"up\"\n[[checks]]\nname = \"mine\"\ndescription = \"x\"\n\
         sql = \"select month from nrr where nrr < 0\"\n",
    )]);
    let asked = "select metric, \"view\", value_column, label, owner, target from meta.metrics \
                 where metric in ('nrr', 'net') order by metric";
    insta::assert_snapshot!(desk.query(asked, "csv").good(), @r"
    metric,view,value_column,label,owner,target
    net,nrr,nrr,Net,,
    nrr,nrr,,Net revenue retention,Bob,1.0
    ");
    let found = desk.run(&["check", "nrr", "--format", "json"]).json();
    let laws = found["laws"].as_array().expect("laws");
    assert!(laws.iter().any(|law| law["name"] == "mine" && law["state"] == "kept"), "{laws:?}");
}

#[test]
fn sql_without_a_sidecar_keeps_the_registry() {
    let desk = desk_with(&[
        ("metrics/arpa.sql", "select month, mrr, customers, arpa, is_complete from metrics.mine"),
        (
            "metrics/mine.sql",
            "select date '2026-01-01' as month, 1.0e0 as mrr, 1 as customers, 1.0e0 as arpa, true as is_complete",
        ),
    ]);
    let rows = desk.query("select label from meta.metrics where metric = 'arpa'", "csv").good();
    assert!(rows.lines().nth(1).is_some_and(|label| !label.is_empty()), "{rows}");
}

#[test]
fn every_wrong_decision_is_named() {
    let desk = desk_with(&[]);
    decide(
        &desk,
        "[metrics]\nnrr = 3\n[metrics.cac]\nownr = \"Ann\"\ntarget = \"low\"\nthreshold = -1\ncadence = \"daily\"\n\
         [metrics.\"cac:email\"]\nlabel = \"x\"\ndirection = \"down\"\nowner = \"\"\n",
    );
    insta::assert_snapshot!(fault(desk.query("select 1", "csv")), @r#"
    error: the configuration is wrong: 8 problems
      topline.toml: unknown key "ownr" in [metrics.cac]; hint: did you mean "owner"?
      topline.toml: [metrics.cac] target: expected a number, found "low"
      topline.toml: [metrics.cac] cadence: expected one of weekly, monthly, quarterly, found "daily"
      topline.toml: [metrics.cac] threshold: expected a number of at least 0, found -1
      topline.toml: unknown key "direction" in [metrics."cac:email"]; hint: known are owner, target, threshold, action_plan
      topline.toml: unknown key "label" in [metrics."cac:email"]; hint: known are owner, target, threshold, action_plan
      topline.toml: [metrics."cac:email"] owner: expected a text, found ""
      topline.toml: [metrics.nrr]: expected a section, found integer
    "#);
    let desk = desk_with(&[]);
    decide(&desk, "[metrics.cak]\ntarget = 1\n[metrics.\"win:Demo\"]\ntarget = 1\n");
    insta::assert_snapshot!(fault(desk.query("select 1", "csv")), @r#"
    error: the configuration is wrong: 2 problems
      topline.toml: [metrics.cak]: there is no metric "cak"; hint: did you mean "cac"?
      topline.toml: [metrics."win:Demo"]: there is no metric "win"; hint: select metric from meta.metrics lists them
    "#);
    let desk = desk_with(&[
        ("metrics/nr.toml", "[metric]\nowner = \"Bob\"\n"),
        ("metrics/cac.toml", "grain = \"x\"\n"),
        ("metrics/nrr.toml", "[metric]\ncadence = \"daily\"\n[measures.net]\nlabel = \"Net\"\n"),
    ]);
    insta::assert_snapshot!(fault(desk.query("select 1", "csv")), @r#"
    error: the models are wrong: 4 problems
      models/metrics/nr.toml: there is no model "metrics.nr", and no SQL beside the sidecar; hint: did you mean "nrr"?
      models/metrics/cac.toml:1:1: unknown key "grain"; hint: known are metric, measures, checks
      models/metrics/nrr.toml: [metric] cadence: expected one of weekly, monthly, quarterly, found "daily"
      models/metrics/nrr.toml: [measures.net] is new, and needs label, unit, cadence and direction
    "#);
}

/// A scorecard of three metrics in two periods, of which the second has not ended.
const SCORECARD: &str = "select cast(period as date) as period, metric, value, previous, target, status, owner, \
        action_plan, is_complete \
    from (values \
    ('2026-09-01', 'nrr', 0.9e0, 0.95e0, 1.0e0, 'off_target', 'Bob', 'Call them.', true), \
    ('2026-09-01', 'cac', 1234.5e0, null, 2000.0e0, 'on_target', 'Ann', null, true), \
    ('2026-09-01', 'arpa', 12.5e0, null, null, 'no_target', null, null, true), \
    ('2026-08-01', 'cac', 9234.5e0, null, 2000.0e0, 'off_target', 'Ann', null, true), \
    ('2026-10-01', 'cac', 9234.5e0, null, 2000.0e0, 'off_target', 'Ann', null, false) \
    ) as rows (period, metric, value, previous, target, status, owner, action_plan, is_complete)";

#[test]
fn what_is_off_target_is_listed_with_owner_and_action_plan() {
    let nothing = format!("{SCORECARD} where period is null");
    let desk = desk_with(&[
        ("metrics/monthly_scorecard.sql", SCORECARD),
        ("metrics/weekly_scorecard.sql", &nothing),
        ("metrics/quarterly_scorecard.sql", &nothing),
    ]);
    let text = desk.run(&["check", "--targets"]).good();
    let shown: Vec<&str> = text.lines().filter(|line| !line.starts_with("without ")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    monthly       2026-09-01: 1 on target, 1 off target, 1 without a target

    off target  period       value  before  target  owner  action plan
    nrr         2026-09-01  0.9000  0.9500  1.0000  Bob    Call them.
    "#);
    assert!(text.contains("without target: ") && text.contains("monthly_scorecard"), "{text}");
    let found = desk.run(&["check", "--targets", "--format", "json"]).json();
    assert_eq!(found["off_target"][0]["action_plan"], "Call them.");
    assert_eq!(found["off_target"][0]["value"], 0.9);
    assert_eq!(found["scorecards"][0]["no_target"], 1);
}

#[test]
fn a_metric_that_nobody_answers_for_is_named() {
    let desk = desk_with(&[("metrics/mine.sql", "select 1 as x")]);
    let said = desk.run(&["check"]).good();
    for what in ["no owner", "no target", "no action plan"] {
        let names = said
            .lines()
            .find(|line| line.contains(&format!("have {what}: ")) || line.contains(&format!("has {what}: ")));
        assert!(names.is_some_and(|names| names.contains("mine")), "{what}: {said}");
    }
}
