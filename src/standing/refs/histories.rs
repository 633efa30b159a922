//! Random histories of one ref, with a ref store as the oracle: the record may not know an owner, and never names a wrong one.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const WHO: [&str; 3] = ["a", "b", "alice"];

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody's push is judged and let pass: to one of a few values, or a delete.
    Push { who: usize, to: Option<u8> },
    /// A push that was let pass is carried out by git, if the ref is still where the push found it.
    Land(usize),
    /// A push that was let pass is declined by another hook.
    Decline(usize),
    /// A push is judged and refused.
    Refuse,
    /// Minutes go by.
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..WHO.len(), proptest::option::weighted(0.7, 0..3_u8))
            .prop_map(|(who, to)| Step::Push { who, to }),
        4 => (0..4_usize).prop_map(Step::Land),
        1 => (0..4_usize).prop_map(Step::Decline),
        1 => Just(Step::Refuse),
        1 => (1..20_i64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A push on its way.
#[derive(Debug, Clone)]
struct Flight {
    who: usize,
    old: Option<String>,
    new: Option<String>,
    decision: String,
    since: Timestamp,
}

/// The ref store, and what really happened.
#[derive(Debug, Default)]
struct Truth {
    value: Option<String>,
    owner: Option<usize>,
    /// What an agent deleted last, until the ref is made again.
    lost: Option<String>,
}

impl Truth {
    fn carry_out(&mut self, flight: &Flight) -> bool {
        // git compares the old value; it has no other way to tell that something came in between.
        if self.value != flight.old || flight.old == flight.new {
            return false;
        }
        match (&flight.old, &flight.new) {
            (None, Some(_)) => (self.owner, self.lost) = (Some(flight.who), None),
            (Some(tip), None) => {
                self.owner = None;
                self.lost = (WHO[flight.who] != "alice").then(|| tip.clone());
            }
            _ => {}
        }
        self.value = flight.new.clone();
        true
    }
}

/// Runs a history, and says of each moment what the record and the truth say.
fn run(steps: &[Step], post_receive: bool, check: impl Fn(&RefPast, &Truth)) {
    let (mut past, mut truth) = (RefPast::default(), Truth::default());
    let mut now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut flying: Vec<Flight> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        // Nothing stays on its way for ever.
        flying.retain(|flight| now.duration_since(flight.since) < ON_ITS_WAY);
        match step {
            Step::Push { who, to } => {
                let flight = Flight {
                    who: *who,
                    old: truth.value.clone(),
                    new: to.map(|value| format!("v{value}")),
                    decision: format!("d{number}"),
                    since: now,
                };
                if flight.old.is_none() && flight.new.is_none() {
                    continue;
                }
                past.seen(truth.value.as_deref(), now);
                let passed = Passed {
                    old: flight.old.as_deref(),
                    new: flight.new.as_deref(),
                    identity: Some(WHO[*who]),
                    person: WHO[*who] == "alice",
                    decision: &flight.decision,
                };
                past.pass(&passed, now);
                flying.push(flight);
            }
            Step::Land(index) if *index < flying.len() => {
                let flight = flying.remove(*index);
                if truth.carry_out(&flight) && post_receive {
                    let decision = Some(flight.decision.as_str());
                    past.land(flight.old.as_deref(), flight.new.as_deref(), decision, now);
                }
            }
            Step::Decline(index) if *index < flying.len() => {
                flying.remove(*index);
            }
            Step::Refuse => past.seen(truth.value.as_deref(), now),
            Step::Wait(minutes) => now += SignedDuration::from_mins(*minutes),
            Step::Land(_) | Step::Decline(_) => {}
        }
        check(&past, &truth);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_names_a_wrong_owner(steps in steps(), post_receive: bool) {
        run(&steps, post_receive, |past, truth| {
            if let Some(owner) = past.owner(truth.value.as_deref()) {
                assert_eq!(Some(owner), truth.owner.map(|who| WHO[who]), "{past:#?}");
            }
        });
    }

    #[test]
    fn no_history_hides_what_an_agent_deleted(steps in steps(), post_receive: bool) {
        run(&steps, post_receive, |past, truth| {
            if let (None, Some(lost)) = (&truth.value, &truth.lost) {
                for who in WHO {
                    let mut told = past.lost_to(Some(who));
                    assert!(told.any(|tip| tip == lost), "{past:#?}");
                }
            }
        });
    }

    /// One push after the other, each recorded as it lands: then the owner is always known.
    #[test]
    fn an_orderly_history_always_knows_the_owner(steps in steps()) {
        let orderly: Vec<Step> = steps
            .into_iter()
            .flat_map(|step| match step {
                Step::Push { .. } => vec![step, Step::Land(0)],
                Step::Land(_) | Step::Decline(_) => Vec::new(),
                other => vec![other],
            })
            .collect();
        let known = |past: &RefPast, truth: &Truth| {
            past.owner(truth.value.as_deref()).map(str::to_owned) == truth.owner.map(|who| WHO[who].to_owned())
        };
        let wrong = std::cell::Cell::new(0);
        run(&orderly, true, |past, truth| {
            // Between the record and the landing it may not be known.
            wrong.set(if known(past, truth) { 0 } else { wrong.get() + 1 });
            assert!(wrong.get() < 2, "{past:#?}\n{truth:?}");
        });
    }
}
