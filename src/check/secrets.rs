//! Secrets in any text of the push. The work is in [`crate::scan`].

use std::borrow::Cow;

use super::{Check, Hit, Rule, Text};
use crate::budget::{Budget, Exhausted};
use crate::finding::{Evidence, Level};
use crate::redact::FingerprintKey;
use crate::scan::{Scanner, UNSCANNED};

/// The check.
pub(super) struct Secrets;

const ALREADY_PRESENT: Rule = Rule {
    id: "secret/already-present",
    title: "the file holds a secret that was there before this push",
    doc: "The push touches or moves a file with a secret that it did not add. Nobody is refused for it, but a \
          person should revoke the secret.",
    default: Level::Warn,
    default_human: Level::Warn,
    fixed: false,
};

static RULES: &[Rule] = include!(concat!(env!("OUT_DIR"), "/secret_check_rules.rs"));

impl Check for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn rules(&self) -> &'static [Rule] {
        RULES
    }

    fn reads_content(&self) -> bool {
        true
    }

    fn content(
        &self,
        text: &Text<'_>,
        key: &FingerprintKey,
        budget: &Budget,
        hits: &mut Vec<Hit>,
    ) -> Result<(), Exhausted> {
        let outcome = Scanner::builtin().scan(text.bytes, budget)?;
        hits.extend(outcome.matches.into_iter().map(|found| Hit {
            rule: Cow::Borrowed(found.rule.id),
            title: Cow::Borrowed(found.rule.title),
            bytes: found.bytes.clone(),
            confidence: Some(found.confidence),
            evidence: Some(Evidence {
                prefix: found.prefix().map(str::to_owned),
                bytes: found.value().len(),
                fingerprint: key.fingerprint(found.rule.id, found.value()),
            }),
            detail:
                (!found.via.is_empty()).then(|| format!("inside {}", found.via.join(" inside "))),
        }));
        hits.extend(outcome.unscanned.into_iter().map(|(bytes, why)| Hit {
            rule: Cow::Borrowed(UNSCANNED),
            title: Cow::Borrowed("content that could not be looked into"),
            bytes,
            confidence: None,
            evidence: None,
            detail: Some(why.to_owned()),
        }));
        Ok(())
    }
}
