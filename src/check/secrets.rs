//! Secrets in any text of the push. The work is in [`crate::scan`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use super::{Check, Hit, Rule, Series, Text};
use crate::budget::{Bounds, Budget, Exhausted};
use crate::finding::Confidence;
use crate::finding::{Evidence, Level};
use crate::redact::FingerprintKey;
use crate::scan::{Match, OPAQUE, Outcome, Scanner, SecretRule, UNSCANNED, active};

/// The check.
pub(super) struct Secrets;

/// A name or sentence with every secret in it replaced, or `None` when there is none. Names of refs and paths,
/// and details that quote the push, pass here before they are told or recorded. The replacement is made of
/// letters, digits, `_` and `-`, so that a ref name stays one.
pub(crate) fn masked(text: &[u8]) -> Option<Vec<u8>> {
    // A budget of its own: a push whose time is up is told about like any other.
    let budget = Budget::new(Bounds::default());
    let Ok(outcome) = Scanner::of(active()).scan(text, &budget) else {
        // What cannot be looked into is not shown.
        return Some(b"masked".to_vec());
    };
    let mut matches = outcome.matches;
    if matches.is_empty() {
        return None;
    }
    matches.sort_by_key(|found| found.bytes.start);
    let mut shown = Vec::with_capacity(text.len());
    let mut kept_to = 0;
    for found in matches {
        if found.bytes.start >= kept_to {
            shown.extend_from_slice(&text[kept_to..found.bytes.start]);
            let prefix = found
                .prefix()
                .filter(|_| found.via.is_empty())
                .unwrap_or_default();
            shown.extend_from_slice(
                format!("{prefix}masked-{}-bytes", found.value().len()).as_bytes(),
            );
        }
        kept_to = kept_to.max(found.bytes.end);
    }
    shown.extend_from_slice(&text[kept_to..]);
    Some(shown)
}

/// What the scanner found, as hits of this check.
pub(crate) fn hits(outcome: Outcome, key: &FingerprintKey) -> Vec<Hit> {
    let of = |found: &Match| Hit {
        rule: Cow::Borrowed(found.rule.id),
        title: Cow::Borrowed(found.rule.title),
        bytes: found.bytes.clone(),
        confidence: Some(found.confidence),
        evidence: Some(Evidence {
            prefix: found.prefix().map(str::to_owned),
            bytes: found.value().len(),
            fingerprint: key.fingerprint(found.rule.id, found.value()),
        }),
        detail: (!found.via.is_empty()).then(|| format!("inside {}", found.via.join(" inside "))),
    };
    let without = |rule, title, (bytes, why): (_, &str)| Hit {
        rule: Cow::Borrowed(rule),
        title: Cow::Borrowed(title),
        bytes,
        confidence: None,
        evidence: None,
        detail: Some(why.to_owned()),
    };
    let found = outcome.matches.iter().map(of);
    let unscanned = outcome.unscanned.into_iter().map(|part| {
        let title = "content that could not be looked into";
        without(UNSCANNED, title, part)
    });
    let opaque = outcome.opaque.into_iter().map(|part| {
        let title = "a part that nobody can look into";
        without(OPAQUE, title, part)
    });
    found.chain(unscanned).chain(opaque).collect()
}

static ALREADY_PRESENT: Rule = Rule {
    id: "secret/already-present",
    title: "the file holds a secret that was there before this push",
    doc: "The push touches or moves a file with a secret that it did not add. Nobody is refused for it, but a \
          person should revoke the secret.",
    default: Level::Warn,
    default_human: Level::Warn,
    fixed: false,
};

/// A secret rule as policies and reports know it.
fn rule_of(secret: &'static SecretRule) -> Rule {
    let level = match secret.confidence {
        Confidence::Possible => Level::Warn,
        Confidence::Likely | Confidence::Certain => Level::Deny,
    };
    let about = secret.about();
    let doc = format!("{}\n\nRevoke: {}", about.description, about.revoke);
    Rule {
        id: secret.id,
        title: secret.title,
        doc: String::leak(doc).trim(),
        default: level,
        default_human: level,
        fixed: false,
    }
}

impl Check for Secrets {
    fn name(&self) -> &'static str {
        "secrets"
    }

    fn rules(&self) -> &'static [Rule] {
        static ALL: OnceLock<Vec<Rule>> = OnceLock::new();
        ALL.get_or_init(|| {
            active()
                .rules()
                .map(rule_of)
                .chain([ALREADY_PRESENT])
                .collect()
        })
    }

    fn find(&self, id: &str) -> Option<&'static Rule> {
        // By pack too: the policy is read, and names rules, before the packs that it names are in use.
        static FOUND: Mutex<BTreeMap<(usize, &str), &Rule>> = Mutex::new(BTreeMap::new());
        if id == ALREADY_PRESENT.id {
            return Some(&ALREADY_PRESENT);
        }
        // One rule is asked for where thousands are known: they are not all made for it.
        let mut found = FOUND
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let pack = active();
        let number = std::ptr::from_ref(pack).addr();
        if let Some(&rule) = found.get(&(number, id)) {
            return Some(rule);
        }
        let rule: &Rule = Box::leak(Box::new(rule_of(pack.find(id)?)));
        found.insert((number, rule.id), rule);
        Some(rule)
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
        let outcome = Scanner::of(active()).scan(text.bytes, budget)?;
        hits.extend(self::hits(outcome, key));
        Ok(())
    }

    fn in_series(
        &self,
        text: &Text<'_>,
        series: Series<'_>,
        key: &FingerprintKey,
        budget: &Budget,
        hits: &mut Vec<Hit>,
    ) -> Result<(), Exhausted> {
        let scanner = Scanner::of(active());
        let known = series
            .from
            .and_then(|(notes, parts)| Some((notes.secrets.as_ref()?, parts)));
        let (outcome, memory) = match known {
            Some((memory, parts)) => {
                let (outcome, memory, _) = scanner.scan_made(text.bytes, memory, parts, budget)?;
                (outcome, memory)
            }
            None => scanner.scan_keeping(text.bytes, budget)?,
        };
        series.notes.secrets = memory;
        hits.extend(self::hits(outcome, key));
        Ok(())
    }
}
