//! The keys of a map as plain values. Each reader notes its own mistakes and then gives something empty.

use super::{Key, Mistake, Node, Value, quoted};

/// The keys of one map, all known.
pub(crate) struct Fields<'n, 't> {
    entries: &'n [(Key<'t>, Node<'t>)],
}

impl<'n, 't> Fields<'n, 't> {
    /// Takes a map that has all of the first keys and, but for these, only some of the second. `what` says in messages
    /// what the map is.
    pub(crate) fn of(
        node: &'n Node<'t>,
        what: &str,
        needed: &[&str],
        others: &[&str],
        wrong: &mut Vec<Mistake>,
    ) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let what = format!("{what} must be a map of keys, not {}", node.value.kind());
            wrong.push(Mistake::new(node.at, what));
            return None;
        };
        let mut is_known = true;
        for (key, value) in entries {
            let name = quoted(&key.name);
            if !needed.iter().chain(others).any(|known| *known == key.name) {
                let known = [needed, others].concat().join(", ");
                let message = format!("unknown key `{name}` in {what}");
                wrong.push(Mistake::new(key.at, message).note(format!("known: {known}")));
                is_known = false;
            } else if value.value == Value::Nothing {
                wrong.push(Mistake::new(key.at, format!("`{name}` has no value")));
            }
        }
        for name in needed {
            // One that is not known may be the one that is missing.
            if is_known && entries.iter().all(|(key, _)| key.name != *name) {
                wrong.push(Mistake::new(node.at, format!("{what} has no `{name}`")));
            }
        }
        Some(Fields { entries })
    }

    /// The value of a key, if it has one.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node<'t>> {
        self.entries
            .iter()
            .find(|(key, node)| key.name == name && node.value != Value::Nothing)
            .map(|(_, node)| node)
    }

    /// Text, also if it looks like a number.
    pub(crate) fn text(&self, name: &str, wrong: &mut Vec<Mistake>) -> Option<String> {
        text(self.get(name)?, name, wrong)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str, wrong: &mut Vec<Mistake>) -> Vec<String> {
        self.items(name, wrong)
            .iter()
            .filter_map(|item| text(item, name, wrong))
            .collect()
    }

    /// The items of a list.
    pub(crate) fn items(&self, name: &str, wrong: &mut Vec<Mistake>) -> &'n [Node<'t>] {
        match self.get(name).map(|node| (node.at, &node.value)) {
            None => &[],
            Some((_, Value::List(items))) => items,
            Some((at, other)) => {
                let what = format!("`{name}` must be a list, not {}", other.kind());
                wrong.push(Mistake::new(at, what));
                &[]
            }
        }
    }

    /// Yes or no.
    pub(crate) fn flag(&self, name: &str, wrong: &mut Vec<Mistake>) -> Option<bool> {
        let node = self.get(name)?;
        match text(node, name, wrong)?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                let what = format!("`{name}` must be true or false, not `{}`", quoted(other));
                wrong.push(Mistake::new(node.at, what));
                None
            }
        }
    }
}

fn text(node: &Node<'_>, name: &str, wrong: &mut Vec<Mistake>) -> Option<String> {
    match &node.value {
        Value::Scalar(text) => Some(text.clone().into_owned()),
        other => {
            let what = format!("`{name}` must be text, not {}", other.kind());
            wrong.push(Mistake::new(node.at, what));
            None
        }
    }
}
