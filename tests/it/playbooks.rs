//! The playbooks' mapping, on a handful of made-up rows whose answers are worked out by hand.

use topline::config::Config;
use topline::engine::Engine;

use crate::project::{Project, Table, answer, cents, dates, environment, instants, integers, repository, texts};

async fn playbook(name: &str, data: &Project) -> Engine {
    let file = repository("examples/playbooks").join(name).join("topline.toml");
    let location = data.path("").display().to_string();
    let config = Config::load(Some(&file), &environment(&[("TOPLINE_SOURCES_PLAYBOOK_LOCATION", &location)]))
        .expect("the playbook's configuration is good");
    Engine::open(config).await.expect("the playbook opens")
}

/// Customer 1 pays 10, then 30, and leaves; 2 pays 50 throughout; 3 pays 20, pauses in December, and returns at 20.
fn subscription_periods() -> Table {
    Table::new()
        .with("subscription_id", integers([1, 2, 3, 4, 5]))
        .with("customer_id", integers([1, 1, 2, 3, 3]))
        .with("start_date", dates(["2019-10-01", "2019-11-01", "2019-10-01", "2019-11-01", "2020-01-01"]))
        .with("end_date", dates(["2019-11-01", "2020-01-01", "2020-03-01", "2019-12-01", "2020-03-01"]))
        .with("monthly_amount", cents([1000, 3000, 5000, 2000, 2000]))
}

#[tokio::test]
async fn the_mrr_playbook_gives_the_bridge_of_its_subscriptions() {
    let data = Project::new();
    data.parquet("subscription_periods.parquet", &subscription_periods());
    let engine = playbook("dbt_mrr", &data).await;
    let movements = answer(
        &engine,
        "select month, opening, new, expansion, contraction, churn, reactivation, closing, customers_closing
        from mrr_movements order by month",
    )
    .await
    .expect("the bridge");
    assert_eq!(
        movements,
        [
            "2019-10-01 | 0.00 | 60.00 | 0.00 | 0.00 | 0.00 | 0.00 | 60.00 | 2",
            "2019-11-01 | 60.00 | 20.00 | 20.00 | 0.00 | 0.00 | 0.00 | 100.00 | 3",
            "2019-12-01 | 100.00 | 0.00 | 0.00 | 0.00 | 20.00 | 0.00 | 80.00 | 2",
            "2020-01-01 | 80.00 | 0.00 | 0.00 | 0.00 | 30.00 | 20.00 | 70.00 | 2",
            "2020-02-01 | 70.00 | 0.00 | 0.00 | 0.00 | 0.00 | 0.00 | 70.00 | 2",
        ]
    );
    // November: 80 of 60 with the expansion, 60 of 60 without. December: 80 of 100. January: 50 of 80.
    let retention = answer(&engine, "select month, nrr, grr from nrr where month > '2019-10-01' order by month").await;
    let [november, december, january, february] = &retention.expect("the ratios")[..] else { panic!("four months") };
    assert!(november.starts_with("2019-11-01 | 1.3333333333333333 | 1.0"), "{november}");
    assert_eq!(december, "2019-12-01 | 0.8 | 0.8");
    assert_eq!(january, "2020-01-01 | 0.625 | 0.625");
    assert_eq!(february, "2020-02-01 | 1.0 | 1.0");
    let entities = answer(&engine, "select distinct account_id from mrr order by account_id").await;
    assert_eq!(entities.expect("the entities"), ["billing:1", "billing:2", "billing:3"]);
}

/// Customer 7 comes by ads, mail and directly, and converts; 8 converts out of the blue; 9 never does.
fn lay_out_attribution(data: &Project) {
    let sessions = Table::new()
        .with("session_id", integers([1, 2, 3, 4, 5]))
        .with("customer_id", integers([7, 7, 7, 7, 9]))
        .with(
            "started_at",
            instants([
                "2020-01-10T08:00:00Z",
                "2020-02-01T08:00:00Z",
                "2020-02-03T08:00:00Z",
                "2020-02-05T08:00:00Z",
                "2020-02-06T08:00:00Z",
            ]),
        )
        .with("ended_at", instants(["", "", "", "", ""]))
        .with("utm_source", texts(["social", "ads", "mail", "direct", "ads"]))
        .with("utm_medium", texts(["", "paid", "", "", "paid"]))
        .with("utm_campaign", texts(["", "spring", "letter", "", "spring"]));
    let conversions = Table::new()
        .with("customer_id", integers([7, 8]))
        // 30 days before: session 1 of 10 January, 8:00, is one second too early.
        .with("converted_at", instants(["2020-02-09T08:00:01Z", "2020-02-10T00:00:00Z"]))
        .with("revenue", cents([1000, 500]));
    let ad_spend = Table::new()
        .with("date_day", dates(["2020-02-01", "2020-02-02"]))
        .with("utm_source", texts(["ads", "ads"]))
        .with("utm_medium", texts(["paid", "paid"]))
        .with("utm_campaign", texts(["spring", "spring"]))
        .with("spend", cents([150, 250]));
    data.parquet("sessions.parquet", &sessions);
    data.parquet("customer_conversions.parquet", &conversions);
    data.parquet("ad_spend.parquet", &ad_spend);
}

#[tokio::test]
async fn the_attribution_playbook_splits_its_conversions() {
    let data = Project::new();
    lay_out_attribution(&data);
    let engine = playbook("dbt_attribution", &data).await;
    let credits = answer(
        &engine,
        "select account_id, touch_id, channel, campaign_id, position, touch_count, credit
        from attribution where model = 'linear' order by account_id, position",
    )
    .await
    .expect("the credits");
    // 10.00 over three touches: 3.33, 6.67 - 3.33 and 10.00 - 6.67.
    assert_eq!(
        credits,
        [
            "7 | 2 | ads | spring | 1 | 3 | 3.33",
            "7 | 3 | mail | letter | 2 | 3 | 3.34",
            "7 | 4 | direct |  | 3 | 3 | 3.33",
            "8 |  | (unattributed) |  |  | 0 | 5.00",
        ]
    );
    let last = answer(
        &engine,
        "select month, channel, conversions, revenue, spend, roas from attribution_by_channel
        where model = 'last_non_direct' order by channel",
    )
    .await
    .expect("the channels");
    assert_eq!(
        last,
        [
            "2020-02-01 | (unattributed) | 1.0 | 5.00 | 0.00 | ",
            "2020-02-01 | ads | 0.0 | 0.00 | 4.00 | 0.0",
            "2020-02-01 | mail | 1.0 | 10.00 | 0.00 | ",
        ]
    );
    let costs = answer(
        &engine,
        "select channel, new_customers, paid_cac from cac_by_channel where model = 'first_touch' order by channel",
    )
    .await
    .expect("the costs");
    assert_eq!(costs, ["(unattributed) | 1.0 | 0.0", "ads | 1.0 | 4.0"]);
}
