use super::super::entry::{Claim, Waiting};
use super::*;

const MINUTE: i64 = 60_000_000;

fn hourly() -> Schedule {
    Schedule::parse("0 * * * *", chrono_tz::Tz::UTC).expect("a right pattern")
}

fn terms(schedule: &Schedule, missed: Missed) -> Terms<'_> {
    Terms { schedule: Some(schedule), missed, retries: 2 }
}

fn state(schedule: &Schedule) -> State {
    State { schedule: Some(pattern_of(schedule)), ..State::default() }
}

fn claim(attempt: u32, until: i64) -> Claim {
    let (by, cause) = ("another".to_owned(), Cause::Schedule);
    Claim { tick: 60 * MINUTE, cause, attempt, by, token: 1, started_at: 0, until, progress: (0, 0) }
}

fn run(minute: i64, attempt: u32) -> Duty {
    Duty::Run(Next { tick: minute * MINUTE, cause: Cause::Schedule, attempt })
}

#[test]
fn a_claim_is_left_alone_until_it_is_over() {
    let schedule = hourly();
    let of = |claim, now| {
        duty(Some(&State { claim: Some(claim), ..state(&schedule) }), terms(&schedule, Missed::Latest), now)
    };
    let until = 61 * MINUTE;
    assert_eq!(of(claim(1, until), until - 1), Duty::Wait(Some(until)));
    assert_eq!(of(claim(1, until), until), run(60, 2));
    let given_up = Next { tick: 60 * MINUTE, cause: Cause::Schedule, attempt: 4 };
    assert_eq!(of(claim(3, until), until), Duty::GiveUp(given_up));
    // No claim is good for so long: it was made by a clock that is ahead.
    assert_eq!(of(claim(1, until + 24 * 60 * MINUTE), until), run(60, 2));
}

#[test]
fn a_pause_is_kept_unless_no_pause_is_so_long() {
    let schedule = hourly();
    let of = |not_before, now| {
        let waiting = Some(Waiting { tick: 60 * MINUTE, cause: Cause::Schedule, attempts: 1, not_before });
        duty(Some(&State { waiting, ..state(&schedule) }), terms(&schedule, Missed::Latest), now)
    };
    assert_eq!(of(62 * MINUTE, 61 * MINUTE), Duty::Wait(Some(62 * MINUTE)));
    assert_eq!(of(62 * MINUTE, 62 * MINUTE), run(60, 2));
    assert_eq!(of(24 * 60 * MINUTE, 62 * MINUTE), run(60, 2));
}

#[test]
fn of_very_many_ticks_the_oldest_are_skipped_whatever_the_policy() {
    let schedule = hourly();
    let now = 1_200 * 60 * MINUTE;
    let owed = duty(Some(&state(&schedule)), terms(&schedule, Missed::All), now);
    let Duty::Skip(skipped) = owed else { panic!("{owed:?}") };
    assert_eq!((skipped.first, skipped.last, skipped.count), (60 * MINUTE, 200 * 60 * MINUTE, 200));
    let rest = State { accounted: skipped.last, ..state(&schedule) };
    assert_eq!(duty(Some(&rest), terms(&schedule, Missed::All), now), run(201 * 60, 1));
}

#[test]
fn a_job_that_nobody_looked_at_owes_nothing_of_before() {
    let schedule = hourly();
    let new = duty(None, terms(&schedule, Missed::All), 90 * MINUTE);
    assert_eq!(new, Duty::Schedule(Some(pattern_of(&schedule)), 90 * MINUTE));
    let without = Terms { schedule: None, missed: Missed::All, retries: 0 };
    assert_eq!(duty(None, without, 0), Duty::Schedule(None, 0));
    assert_eq!(duty(Some(&State::default()), without, 90 * MINUTE), Duty::Wait(None));
}

#[test]
fn clocks_that_differ_a_little_are_no_jump() {
    let schedule = hourly();
    let ahead = State { accounted: 60 * MINUTE, ..state(&schedule) };
    let of = |now| duty(Some(&ahead), terms(&schedule, Missed::Latest), now);
    assert_eq!(of(56 * MINUTE), Duty::Wait(Some(120 * MINUTE)));
    assert_eq!(of(54 * MINUTE), Duty::SetBack);
}
