//! Companies of other seeds, in zones whose days start at odd instants: nothing is wrong with any of them.

use super::{Desk, Run};

/// Seed, zone and the end of the history: the end of a month, or the middle of one.
const COMPANIES: [(&str, &str, &str); 3] = [
    ("11", "America/Sao_Paulo", "2026-11-01T03:00:00Z"),
    ("23", "Asia/Beirut", "2026-03-29T12:30:00Z"),
    ("42", "Pacific/Auckland", "2026-10-16T09:30:00.000001Z"),
];

#[test]
fn companies_of_other_seeds_and_zones_keep_every_law() {
    let desk = Desk::new();
    for (seed, zone, as_of) in COMPANIES {
        desk.run(&["sample", "--seed", seed, "--accounts", "60", "--months", "14", "--out", seed]).good();
        let config = format!("{seed}/topline.toml");
        let mut check = desk.command(&["check", "--config", config.as_str()]);
        check.env("TOPLINE_REPORTING_TIMEZONE", zone).env("TOPLINE_REPORTING_AS_OF", as_of);
        let Run { code, out, err } = Run::of(check.output().expect("the binary runs"));
        assert_eq!(code, Some(0), "seed {seed} in {zone}:\n{out}{err}");
        assert!(out.lines().any(|line| line.starts_with("0 errors")), "seed {seed} in {zone}:\n{out}{err}");
    }
}
