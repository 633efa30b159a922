//! What one identity has done lately, in numbers.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long single pushes are remembered.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A day of UTC, in seconds.
const DAY_SECONDS: i64 = 86_400;

/// Most pushes of one hour that are remembered one by one: a limit by the hour cannot be larger.
pub const PER_HOUR_MAX: usize = 3_600;

/// The pushes of one identity, as the ledger counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Moments of those that passed in the last hour, in milliseconds.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    passed: VecDeque<i64>,
    /// The same of all that were judged, whatever the answer.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    judged: VecDeque<i64>,
    /// Number of the day that the sums are of.
    day: i64,
    /// Pushes that passed on that day.
    pushes: u64,
    /// New commits of these.
    commits: u64,
    /// Lines that these added.
    added_lines: u64,
    /// Refusals since the last push that passed.
    refusals: u64,
}

/// One judged push, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// When.
    pub at: Timestamp,
    /// Whether it was let pass.
    pub passed: bool,
    /// Whether it was refused for what it is, and not for the time at which it came.
    pub refused: bool,
    /// Whether it counts as an attempt: all but what was refused for the time at which it came.
    pub judged: bool,
    /// New commits.
    pub commits: u64,
    /// Lines added.
    pub added_lines: u64,
}

/// Sums of one identity at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Pushes that passed in the hour before.
    pub passed_in_hour: u64,
    /// Pushes that were judged in the hour before.
    pub judged_in_hour: u64,
    /// Pushes that passed on this day of UTC.
    pub pushes: u64,
    /// Their commits.
    pub commits: u64,
    /// Their added lines.
    pub added_lines: u64,
    /// Refusals since the last push that passed.
    pub refusals: u64,
}

fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY_SECONDS)
}

/// Moments after the start of the hour that ends at `now`. What lies ahead counts: a clock that went back gives nothing away.
fn in_hour(moments: &VecDeque<i64>, now: Timestamp) -> u64 {
    let start = (now - HOUR).as_millisecond();
    moments.iter().filter(|moment| **moment > start).count() as u64
}

/// `None`: at once, or never.
fn next(moments: &VecDeque<i64>, max: u64, now: Timestamp) -> Option<Timestamp> {
    let start = (now - HOUR).as_millisecond();
    let mut counting: Vec<i64> = moments.iter().copied().filter(|at| *at > start).collect();
    counting.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
    let must_go = counting.get(usize::try_from(max).ok()?.checked_sub(1)?)?;
    Some(Timestamp::from_millisecond(*must_go).ok()? + HOUR)
}

impl Tally {
    /// Counts a push.
    pub fn count(&mut self, push: &Counted) {
        let start = (push.at - HOUR).as_millisecond();
        for (moments, counts) in [
            (&mut self.passed, push.passed),
            (&mut self.judged, push.judged),
        ] {
            moments.retain(|moment| *moment > start);
            if counts {
                moments.push_back(push.at.as_millisecond());
            }
            while moments.len() > PER_HOUR_MAX {
                moments.pop_front();
            }
        }
        if push.passed {
            if day_of(push.at) > self.day {
                (self.pushes, self.commits, self.added_lines) = (0, 0, 0);
                self.day = day_of(push.at);
            }
            self.pushes += 1;
            self.commits = self.commits.saturating_add(push.commits);
            self.added_lines = self.added_lines.saturating_add(push.added_lines);
            self.refusals = 0;
        } else if push.refused {
            self.refusals += 1;
        }
    }

    /// A person looked at it: the run of refusals is over.
    pub fn forgive(&mut self) {
        self.refusals = 0;
    }

    /// The sums as they count at this moment.
    pub fn sums(&self, now: Timestamp) -> Sums {
        let same_day = self.day >= day_of(now);
        let of_day = |sum: u64| if same_day { sum } else { 0 };
        Sums {
            passed_in_hour: in_hour(&self.passed, now),
            judged_in_hour: in_hour(&self.judged, now),
            pushes: of_day(self.pushes),
            commits: of_day(self.commits),
            added_lines: of_day(self.added_lines),
            refusals: self.refusals,
        }
    }

    /// When one more push may pass under a limit by the hour: once so many of the last ones are an hour ago.
    pub fn next_pass(&self, max: u64, now: Timestamp) -> Option<Timestamp> {
        next(&self.passed, max, now)
    }

    /// The same for pushes that are judged.
    pub fn next_attempt(&self, max: u64, now: Timestamp) -> Option<Timestamp> {
        next(&self.judged, max, now)
    }

    /// Whether nothing of it can count any more.
    pub fn is_spent(&self, now: Timestamp) -> bool {
        self.sums(now) == Sums::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    fn push(at: Timestamp, passed: bool) -> Counted {
        Counted {
            at,
            passed,
            refused: !passed,
            judged: true,
            commits: 2,
            added_lines: 10,
        }
    }

    #[test]
    fn an_hour_is_the_sixty_minutes_before() {
        let mut tally = Tally::default();
        for time in ["10:00:00", "10:30:00", "10:59:59.999"] {
            tally.count(&push(at(time), true));
        }
        tally.count(&push(at("10:40:00"), false));
        let hour = |time: &str| {
            let sums = tally.sums(at(time));
            (sums.passed_in_hour, sums.judged_in_hour)
        };
        assert_eq!(hour("10:59:59.999"), (3, 4));
        assert_eq!(hour("11:00:00"), (2, 3));
        assert_eq!(hour("11:59:59.998"), (1, 1));
        assert_eq!(hour("11:59:59.999"), (0, 0));
        assert_eq!(hour("09:00:00"), (3, 4), "what lies ahead counts");
        let next = |max| tally.next_pass(max, at("10:59:59.999"));
        assert_eq!(next(0), None);
        assert_eq!(next(1), Some(at("11:59:59.999")));
        assert_eq!(next(3), Some(at("11:00:00")));
        assert_eq!(next(4), None);
        assert_eq!(tally.next_attempt(4, at("10:45:00")), Some(at("11:00:00")));
    }

    #[test]
    fn a_day_is_a_day_of_utc_and_counts_what_passed() {
        let mut tally = Tally::default();
        tally.count(&push(at("00:00:00"), true));
        tally.count(&push(at("12:00:00"), false));
        tally.count(&push(at("23:59:59.999"), true));
        let day = |time: Timestamp| {
            let sums = tally.sums(time);
            (sums.pushes, sums.commits, sums.added_lines)
        };
        assert_eq!(day(at("23:59:59.999")), (2, 4, 20));
        let next = at("23:59:59.999") + SignedDuration::from_millis(1);
        assert_eq!(day(next), (0, 0, 0));
        tally.count(&push(next, true));
        assert_eq!(tally.sums(next).pushes, 1);
    }

    #[test]
    fn a_run_of_refusals_ends_with_a_push_that_passes_or_by_a_person() {
        let mut tally = Tally::default();
        let now = at("10:00:00");
        for _ in 0..3 {
            tally.count(&push(now, false));
        }
        // Refused for the time at which it came: neither part of the run nor its end.
        let wait = Counted {
            refused: false,
            judged: false,
            ..push(now, false)
        };
        tally.count(&wait);
        assert_eq!(tally.sums(now).refusals, 3);
        tally.forgive();
        assert_eq!(tally.sums(now).refusals, 0);
        tally.count(&push(now, false));
        tally.count(&push(now, true));
        assert_eq!(tally.sums(now).refusals, 0);
    }
}
