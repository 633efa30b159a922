//! What stood at a path before: which bytes of a text a push adds, and which it only carries along.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::rc::Rc;

use bstr::{BStr, ByteSlice as _};

use crate::budget::{Budget, Exhausted};
use crate::gate::content::Job;
use crate::push::Oid;
use crate::repo::{Added, Change, Mode, Origin, Reader, RepoError, differing};

/// From this size on, in bytes, only the surroundings of a change are looked into.
const WINDOW_FROM_BYTES: usize = 16 << 10;

/// What is looked into on each side of a change, in bytes: more than the longest rule spans.
const MARGIN_BYTES: usize = 4 << 10;

/// A line of this many bytes without a blank may be part of an encoded block.
const DENSE_LINE_BYTES: usize = 20;

/// Loaded blobs that are kept, in bytes: the next commit's old version is this one's new version.
const KEPT_BYTES: usize = 2 << 20;

/// Blobs by id, the latest kept.
pub(super) struct Blobs<'r> {
    pub(super) reader: &'r Reader<'r>,
    recent: VecDeque<(Oid, Rc<Loaded>)>,
    kept_bytes: usize,
    /// The last two versions that were compared: it is asked for more than once.
    compared: Option<Compared>,
}

/// The lines in the old and in the new version that are not the same.
type Differing = (Range<usize>, Range<usize>);

/// Two versions of a file.
struct Compared {
    old: Rc<Loaded>,
    new: Rc<Loaded>,
    differing: Differing,
    added: OnceCell<Rc<Added>>,
}

/// A blob in memory.
pub(super) struct Loaded {
    bytes: Rc<Vec<u8>>,
    is_plain: OnceCell<bool>,
}

impl Loaded {
    /// Whether it is text in UTF-8. Found out once: the new version of one commit is the old one of the next.
    fn is_plain(&self) -> bool {
        *self.is_plain.get_or_init(|| is_plain(&self.bytes))
    }
}

impl Deref for Loaded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<'r> Blobs<'r> {
    pub(super) fn new(reader: &'r Reader<'r>) -> Self {
        Blobs {
            reader,
            recent: VecDeque::new(),
            kept_bytes: 0,
            compared: None,
        }
    }

    fn compared(&mut self, old: &Rc<Loaded>, new: &Rc<Loaded>) -> &Compared {
        let is_known =
            |known: &Compared| Rc::ptr_eq(&known.old, old) && Rc::ptr_eq(&known.new, new);
        let known = self.compared.take().filter(is_known);
        self.compared.insert(known.unwrap_or_else(|| Compared {
            differing: differing(old, new),
            old: old.clone(),
            new: new.clone(),
            added: OnceCell::new(),
        }))
    }

    /// What the new version adds to the old one.
    pub(super) fn added(
        &mut self,
        old: &Rc<Loaded>,
        new: &Rc<Loaded>,
        budget: &Budget,
    ) -> Result<Rc<Added>, Exhausted> {
        let known = self.compared(old, new);
        if let Some(added) = known.added.get() {
            return Ok(added.clone());
        }
        let added = Rc::new(Added::within(old, new, known.differing.clone(), budget)?);
        Ok(known.added.get_or_init(|| added).clone())
    }

    pub(super) fn load(
        &mut self,
        id: &Oid,
        size: u64,
        budget: &Budget,
    ) -> Result<Rc<Loaded>, RepoError> {
        if let Some(blob) = self.kept(id) {
            return Ok(blob);
        }
        let blob = Rc::new(Loaded {
            bytes: self.reader.read(id, size, budget)?,
            is_plain: OnceCell::new(),
        });
        self.kept_bytes += blob.len();
        self.recent.push_back((*id, blob.clone()));
        while self.kept_bytes > KEPT_BYTES && self.recent.len() > 1 {
            if let Some((_, dropped)) = self.recent.pop_front() {
                self.kept_bytes -= dropped.len();
            }
        }
        Ok(blob)
    }

    fn kept(&self, id: &Oid) -> Option<Rc<Loaded>> {
        let found = self.recent.iter().rev().find(|(kept, _)| kept == id)?;
        Some(found.1.clone())
    }

    /// The earlier versions of a change, one a parent that had a file or a link there. One that is too large
    /// to be read is left out: then everything counts as added.
    fn old(&mut self, change: &Change, budget: &Budget) -> Result<Vec<Rc<Loaded>>, RepoError> {
        let mut versions = Vec::new();
        for entry in change.old.iter().flatten() {
            if !matches!(entry.mode, Mode::Blob | Mode::Executable | Mode::Symlink) {
                continue;
            }
            if let Some(blob) = self.kept(&entry.id) {
                versions.push(blob);
                continue;
            }
            match self.reader.header(&entry.id)? {
                Some((_, size)) if size > budget.bounds().blob_bytes => {}
                Some((_, size)) => versions.push(self.load(&entry.id, size, budget)?),
                None => return Err(RepoError::Missing(entry.id)),
            }
        }
        Ok(versions)
    }
}

/// The bytes of a new version that have to be looked into: all of a small file, and of a large one that has
/// one earlier version, what changed and its surroundings. What lies further away was looked into when it
/// came, or is trusted.
///
/// An encoded block is taken whole or not at all, because a change at its start can give its end another
/// meaning; a file that is not plain UTF-8 (an archive, a compressed stream, UTF-16) is taken whole for the
/// same reason: one byte mended at its start can open the rest.
pub(super) fn window(
    blobs: &mut Blobs<'_>,
    job: &Job<'_>,
    new: &Rc<Loaded>,
    budget: &Budget,
) -> Result<Range<usize>, RepoError> {
    let whole = 0..new.len();
    let [place] = job.places.as_slice() else {
        return Ok(whole);
    };
    let Some(change) = place.change.filter(|_| new.len() >= WINDOW_FROM_BYTES) else {
        return Ok(whole);
    };
    let versions = blobs.old(change, budget)?;
    let ([old], false) = (versions.as_slice(), change.old.len() > 1) else {
        return Ok(whole);
    };
    if !old.is_plain() {
        return Ok(whole);
    }
    let (_, changed) = &blobs.compared(old, new).differing;
    // The lines around what changed are those of the old version.
    if !*new.is_plain.get_or_init(|| is_plain(&new[changed.clone()])) {
        return Ok(whole);
    }
    let start = back_over_dense(new, changed.start).saturating_sub(MARGIN_BYTES);
    let end = (on_over_dense(new, changed.end) + MARGIN_BYTES).min(new.len());
    Ok(back_over_dense(new, start)..on_over_dense(new, end))
}

/// Whether it is less work to look into the whole of one of several versions by what was noted of the one before, or is noted for
/// the one after, than into its window alone. Notes on what is the same are moved, some twenty times as fast as text is scanned.
/// Of what is too large to be kept there are none.
pub(super) fn is_noted(window: &Range<usize>, text: &[u8], has_notes: bool) -> bool {
    let least = text.len() / if has_notes { 20 } else { 4 };
    window.len() > least && text.len() <= KEPT_BYTES
}

/// The start of the line at `at`, or of the encoded block that ends before it.
fn back_over_dense(text: &[u8], at: usize) -> usize {
    let line_start =
        |at: usize| memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
    let mut start = line_start(at);
    while start > 0 {
        let before = line_start(start - 1);
        if !is_dense(&text[before..start - 1]) {
            break;
        }
        start = before;
    }
    start
}

/// The end of the line at `at`, or of the encoded block that starts there.
fn on_over_dense(text: &[u8], mut at: usize) -> usize {
    loop {
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline + 1);
        if end == text.len() {
            return end;
        }
        let after = memchr::memchr(b'\n', &text[end..]).map_or(text.len(), |newline| end + newline);
        if !is_dense(&text[end..after]) {
            return end;
        }
        at = after;
    }
}

fn is_plain(text: &[u8]) -> bool {
    memchr::memchr(0, text).is_none() && std::str::from_utf8(text).is_ok()
}

fn is_dense(line: &[u8]) -> bool {
    line.len() >= DENSE_LINE_BYTES
        && !line
            .trim_ascii()
            .iter()
            .any(|byte| matches!(byte, b' ' | b'\t'))
}

/// Lines that the push adds by this blob, at each of its places. Against the parent that leaves least: what a
/// merge took over from one side it does not add. Binary files have no lines, as git counts them.
pub(super) fn lines(
    blobs: &mut Blobs<'_>,
    job: &Job<'_>,
    new: &Rc<Loaded>,
    budget: &Budget,
) -> Result<u64, RepoError> {
    if memchr::memchr(0, &new[..new.len().min(8_000)]).is_some() {
        return Ok(0);
    }
    let mut total = 0_u64;
    for place in &job.places {
        let own = place
            .change
            .filter(|change| change.origin != Origin::AutoMerge);
        let Some(change) = own else { continue };
        let versions = blobs.old(change, budget)?;
        let mut least = None;
        for old in &versions {
            let lines = blobs.added(old, new, budget)?.lines;
            least = Some(least.map_or(lines, |least: u64| least.min(lines)));
        }
        let all = || memchr::memchr_iter(b'\n', new).count() + usize::from(!new.ends_with(b"\n"));
        total = total.saturating_add(least.unwrap_or_else(|| all() as u64));
    }
    Ok(total)
}

/// One earlier version of a text.
pub(super) struct Version<'a> {
    pub(super) bytes: Rc<Loaded>,
    pub(super) path: &'a BStr,
    /// What the new version adds to it.
    pub(super) added: Rc<Added>,
}

/// The earlier versions of a text, one a parent; for a file that was only moved, itself at its old path. None:
/// all of it is new.
pub(super) fn versions<'a>(
    blobs: &mut Blobs<'_>,
    change: Option<&'a Change>,
    new: &Rc<Loaded>,
    budget: &Budget,
) -> Result<Vec<Version<'a>>, RepoError> {
    let Some(change) = change else {
        return Ok(Vec::new());
    };
    let (path, olds) = match &change.moved_from {
        Some(path) => (path.as_bstr(), vec![new.clone()]),
        None => (change.path.as_bstr(), blobs.old(change, budget)?),
    };
    let version = |bytes: Rc<Loaded>| {
        Ok(Version {
            added: blobs.added(&bytes, new, budget)?,
            bytes,
            path,
        })
    };
    olds.into_iter().map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_block_is_taken_whole() {
        let block = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\n".repeat(9);
        let text = format!("some prose here\n{block}more prose there\n");
        let text = text.as_bytes();
        let middle = text.len() / 2;
        assert_eq!(back_over_dense(text, middle), 16);
        assert_eq!(on_over_dense(text, middle), text.len() - 17);
    }

    #[test]
    fn only_plain_text_is_cut() {
        assert!(is_plain("words, émojis 🙂 and עברית\n".as_bytes()));
        // The start of a gzip stream, of UTF-16, of a file with a NUL.
        for whole in [&b"\x1f\x8b\x08\x10words"[..], b"\xff\xfew\x01", b"words\0"] {
            assert!(!is_plain(whole), "{whole:?}");
        }
    }

    #[test]
    fn prose_is_cut_at_its_lines() {
        let text = b"one line of words\ntwo lines of words\nthree lines of words\n";
        assert_eq!(back_over_dense(text, 25), 18);
        assert_eq!(on_over_dense(text, 25), 37);
        assert_eq!(back_over_dense(text, 0), 0);
        assert_eq!(on_over_dense(text, text.len()), text.len());
    }
}
