//! The texts of commits and tags that content checks look into.

use std::borrow::Cow;

use bstr::BString;

use crate::finding::Part;
use crate::repo::{Commit, Tag};

/// The texts of a commit, the message first.
pub(crate) fn of_commit(commit: &Commit) -> Vec<(Part, Cow<'_, [u8]>)> {
    let mut texts: Vec<(Part, Cow<'_, [u8]>)> = vec![
        (Part::Message, Cow::Borrowed(&commit.message)),
        (Part::Author, Cow::Borrowed(&commit.author.raw)),
        (Part::Committer, Cow::Borrowed(&commit.committer.raw)),
    ];
    texts.extend(headers(&commit.headers));
    texts
}

/// The texts of an annotated tag, the message first.
pub(crate) fn of_tag(tag: &Tag) -> Vec<(Part, Cow<'_, [u8]>)> {
    let mut texts: Vec<(Part, Cow<'_, [u8]>)> = vec![
        (Part::TagMessage, Cow::Borrowed(&tag.message)),
        (Part::Header, Cow::Borrowed(&tag.name)),
    ];
    if let Some(tagger) = &tag.tagger {
        texts.push((Part::Tagger, Cow::Borrowed(&tagger.raw)));
    }
    texts.extend(headers(&tag.headers));
    texts
}

/// Headers as they stand in the object, for a name is as free a text as a value.
fn headers(headers: &[(BString, BString)]) -> impl Iterator<Item = (Part, Cow<'_, [u8]>)> {
    let line = |(name, value): &(BString, BString)| [name.as_slice(), value].join(&b' ');
    headers
        .iter()
        .map(move |header| (Part::Header, Cow::Owned(line(header))))
}
