//! Every text that a push brings goes through the content checks once; what hits is told from what was there before.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use bstr::{BStr, BString, ByteSlice as _};
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;

use crate::check::{self, CHECKS, Check, Hit, Notes, Series, Text};
use crate::finding::{Finding, Part, Place, Span};
use crate::gate::Request;
use crate::gate::before::{self, Blobs, Loaded};
use crate::gate::{entries_for, known_names};
use crate::identity::Actor;
use crate::policy::{InForce, REPOSITORY_POLICY, RepositoryPolicy};
use crate::push::{Oid, RefName};
use crate::repo::{Change, Entry, History, Kind as ObjectKind, Mode, Reader, RepoError};
use crate::verdict::{Unjudged, Work};

/// From this many texts on, threads pay for their start.
const PARALLEL_FROM_TEXTS: usize = 64;

/// Hits of one check in one text that are kept. More of them is a finding of its own.
const HITS_MAX: usize = 1_000;

/// A blob at a path, with every place where the push puts it there.
pub(super) struct Job<'a> {
    blob: Oid,
    path: &'a BStr,
    part: Part,
    pub(super) places: Vec<Occurrence<'a>>,
}

/// One commit (or one ref update as a whole) that puts the blob at the path.
pub(super) struct Occurrence<'a> {
    commit: Option<Oid>,
    ref_name: Option<&'a RefName>,
    pub(super) change: Option<&'a Change>,
}

/// Runs the content checks over everything that the push brings.
pub(super) fn judge(
    request: &Request<'_>,
    actor: &Actor,
    history: &History,
    reader: &Reader<'_>,
    work: &mut Work,
    findings: &mut Vec<Finding>,
) -> Result<(), Unjudged> {
    let jobs = jobs(request, history, work)?;
    let pass = Pass {
        request,
        checks: CHECKS
            .iter()
            .copied()
            .filter(|check| check.reads_content() && !is_off(*check, actor))
            .collect(),
        suppressed: entries_for(request, actor),
        count_lines: actor.boundary.limits().count_lines(),
    };
    work.commits.0 = history.commits.len() as u64;
    work.texts.0 += jobs.len() as u64;
    pass.names(history, &jobs, findings)?;
    work.commits.1 += pass.messages(history, findings)?;
    let order = by_path(&jobs);
    let run = |reader: &Reader<'_>, order: &[usize]| {
        let mut blobs = Blobs::new(reader);
        let mut results = Vec::with_capacity(order.len());
        for versions in order.chunk_by(|one, next| jobs[*one].path == jobs[*next].path) {
            let mut noted = None;
            for (at, &job) in versions.iter().enumerate() {
                let is_last = at + 1 == versions.len();
                results.push((job, pass.blob(&mut blobs, &jobs[job], &mut noted, is_last)));
            }
        }
        results
    };
    let mut results = if jobs.len() < PARALLEL_FROM_TEXTS {
        run(reader, &order)
    } else {
        let runs = order.par_chunks(order.len().div_ceil(rayon::current_num_threads()));
        runs.flat_map_iter(|order| run(&request.repo.reader(), order))
            .collect()
    };
    results.sort_unstable_by_key(|(job, _)| *job);
    let mut lines = 0_u64;
    let mut stopped = None;
    for (_, result) in results {
        match result {
            Ok(judged) => {
                findings.extend(judged.findings);
                lines = lines.saturating_add(judged.lines);
                work.bytes += judged.bytes;
                work.texts.1 += 1;
            }
            Err(why) => stopped = stopped.or(Some(why)),
        }
    }
    if let Some(why) = stopped {
        return Err(why);
    }
    work.added_lines = lines;
    findings.extend(check::too_many_lines(actor.boundary.limits(), lines));
    Ok(())
}

/// The jobs path by path: versions of one file are decoded from one another, and each is compared with the one before.
fn by_path(jobs: &[Job<'_>]) -> Vec<usize> {
    let mut first = HashMap::new();
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_cached_key(|&job| *first.entry(jobs[job].path).or_insert(job));
    order
}

/// A version that was looked into whole, and what the checks noted of it.
struct Noted {
    blob: Rc<Loaded>,
    notes: Notes,
}

/// Whether nothing that the check finds in texts could be told, so that it need not look.
fn is_off(check: &dyn Check, actor: &Actor) -> bool {
    // It tells of what it could not look into by rules of another check.
    let is_of = |name: &str| {
        matches!(name, "limits" | "limit/opaque" | "limit/unscanned")
            || check::find_rule(name).0 == check.name()
    };
    actor.boundary.turns_off(check.name(), &is_of)
}

/// What became of one job.
struct Judged {
    findings: Vec<Finding>,
    bytes: u64,
    /// Lines that it adds, when the boundary limits them.
    lines: u64,
}

/// The distinct (blob, path) pairs of the push, in the order of the history.
fn jobs<'a>(
    request: &'a Request<'_>,
    history: &'a History,
    work: &mut Work,
) -> Result<Vec<Job<'a>>, Unjudged> {
    let mut jobs = Jobs {
        list: Vec::new(),
        by_place: HashMap::new(),
    };
    let name_of = |update: &usize| &request.updates[*update].command.name;
    for new in &history.commits {
        work.changes.0 += new.changes.len() as u64;
        let ref_name = new.updates.first().map(name_of);
        for change in &new.changes {
            jobs.add(change.new, change.path.as_bstr(), || Occurrence {
                commit: Some(new.commit.id),
                ref_name,
                change: Some(change),
            });
            work.changes.1 += 1;
        }
    }
    for (update, change) in &history.net {
        jobs.add(change.new, change.path.as_bstr(), || Occurrence {
            commit: request.updates[*update].command.new,
            ref_name: Some(name_of(update)),
            change: Some(change),
        });
    }
    for content in &history.contents {
        jobs.add(Some(content.entry), content.path.as_bstr(), || Occurrence {
            commit: None,
            ref_name: Some(name_of(&content.update)),
            change: None,
        });
    }
    Ok(jobs.list)
}

struct Jobs<'a> {
    list: Vec<Job<'a>>,
    by_place: HashMap<(Oid, &'a BStr), usize>,
}

impl<'a> Jobs<'a> {
    fn add(
        &mut self,
        entry: Option<Entry>,
        path: &'a BStr,
        place: impl FnOnce() -> Occurrence<'a>,
    ) {
        let part = match entry.map(|entry| entry.mode) {
            Some(Mode::Symlink) => Part::SymlinkTarget,
            Some(Mode::Blob | Mode::Executable | Mode::Other(_)) => Part::Content,
            Some(Mode::Gitlink | Mode::Tree) | None => return,
        };
        let blob = entry.expect("a mode was found").id;
        let index = *self.by_place.entry((blob, path)).or_insert_with(|| {
            self.list.push(Job {
                blob,
                path,
                part,
                places: Vec::new(),
            });
            self.list.len() - 1
        });
        self.list[index].places.push(place());
    }
}

/// One run of the content checks over one push.
struct Pass<'a> {
    request: &'a Request<'a>,
    checks: Vec<&'static dyn Check>,
    suppressed: InForce<'a>,
    count_lines: bool,
}

impl Pass<'_> {
    /// Ref names and path names: other programs and other agents read them.
    fn names(
        &self,
        history: &History,
        jobs: &[Job<'_>],
        findings: &mut Vec<Finding>,
    ) -> Result<(), Unjudged> {
        for update in self
            .request
            .updates
            .iter()
            .filter(|update| update.command.new.is_some())
        {
            let name = &update.command.name;
            let mut place = Place::new(Part::Ref);
            place.ref_name = Some(name.clone());
            self.small(&place, name.as_bytes(), findings)?;
        }
        let links = history.commits.iter().flat_map(|new| {
            let gitlinks = new
                .changes
                .iter()
                .filter(|change| change.new.is_some_and(|entry| entry.mode == Mode::Gitlink));
            gitlinks.map(|change| (Some(new.commit.id), change.path.as_bstr()))
        });
        let of_jobs = jobs
            .iter()
            .map(|job| (job.places.first().and_then(|place| place.commit), job.path));
        for (commit, path) in of_jobs.chain(links) {
            let mut place = Place::new(Part::Path);
            place.commit = commit;
            place.path = Some(path.to_owned());
            self.small(&place, path, findings)?;
        }
        Ok(())
    }

    /// Messages, names and other headers of commits and tags. Returns how many commits were looked into.
    fn messages(&self, history: &History, findings: &mut Vec<Finding>) -> Result<u64, Unjudged> {
        let mut count = 0;
        for new in &history.commits {
            let commit = &new.commit;
            let ref_name = self.ref_of(&new.updates);
            let texts = check::texts_of_commit(commit);
            self.texts(commit.id, ref_name, &texts, findings)?;
            count += 1;
        }
        for new in &history.tags {
            let ref_name = self.ref_of(&new.updates);
            let texts = check::texts_of_tag(&new.tag);
            self.texts(new.tag.id, ref_name, &texts, findings)?;
        }
        Ok(count)
    }

    fn texts(
        &self,
        id: Oid,
        ref_name: Option<RefName>,
        texts: &[(Part, Cow<'_, [u8]>)],
        findings: &mut Vec<Finding>,
    ) -> Result<(), Unjudged> {
        let mut place = Place::new(Part::Message);
        place.commit = Some(id);
        place.ref_name = ref_name;
        for (part, bytes) in texts {
            place.part = *part;
            self.small(&place, bytes, findings)?;
        }
        Ok(())
    }

    /// The first of the ref updates that bring something.
    fn ref_of(&self, updates: &[usize]) -> Option<RefName> {
        updates
            .first()
            .map(|update| self.request.updates[*update].command.name.clone())
    }

    /// A text that is wholly new.
    fn small(
        &self,
        place: &Place,
        bytes: &[u8],
        findings: &mut Vec<Finding>,
    ) -> Result<(), Unjudged> {
        let text = Text {
            part: place.part,
            path: None,
            bytes,
        };
        for hit in self.hits(&text, None)? {
            let mut found = finding(hit, place.clone(), bytes);
            // A name has no lines.
            if matches!(place.part, Part::Ref | Part::Path) {
                found.place.span = None;
            }
            findings.push(found);
        }
        Ok(())
    }

    fn hits(&self, text: &Text<'_>, mut series: Option<Series<'_>>) -> Result<Vec<Hit>, Unjudged> {
        let (key, budget) = (self.request.key, self.request.budget);
        let mut all = Vec::new();
        for check in &self.checks {
            let mut hits = Vec::new();
            let run = || match &mut series {
                Some(Series { from, notes }) => {
                    let series = Series { from: *from, notes };
                    check.in_series(text, series, key, budget, &mut hits)
                }
                None => check.content(text, key, budget, &mut hits),
            };
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(result) => result.map_err(Unjudged::Exhausted)?,
                Err(_) => return Err(Unjudged::Internal(check.name().to_owned())),
            }
            if hits.len() > HITS_MAX {
                hits.truncate(HITS_MAX);
                hits.push(Hit {
                    rule: "limit/unscanned".into(),
                    title: "content was not looked into because a bound was reached".into(),
                    bytes: 0..0,
                    confidence: None,
                    evidence: None,
                    detail: Some(format!("more than {HITS_MAX} findings in one file")),
                });
            }
            all.append(&mut hits);
        }
        Ok(all)
    }

    /// What the checks find in a blob as far as it may be new at its path. `looked` is told how many bytes that is.
    fn added_hits(
        &self,
        blobs: &mut Blobs<'_>,
        job: &Job<'_>,
        bytes: &Rc<Loaded>,
        noted: &mut Option<Noted>,
        is_last: bool,
        looked: &mut u64,
    ) -> Result<Vec<Hit>, Unjudged> {
        // With nothing to look for there is no need to know what changed.
        if self.checks.is_empty() {
            return Ok(Vec::new());
        }
        let window = before::window(blobs, job, bytes, self.request.budget)?;
        *looked = window.len() as u64;
        let text = |bytes| Text {
            part: job.part,
            path: Some(job.path),
            bytes,
        };
        let before = noted.take();
        let is_of_use = match &before {
            Some(before) => !before.notes.is_empty(),
            None => !is_last,
        };
        if !is_of_use {
            // What helped with nothing here will not with the next one.
            *noted = before;
        } else if before::is_noted(&window, bytes, before.is_some()) {
            let mut notes = Notes::default();
            let budget = self.request.budget;
            let added = before
                .as_ref()
                .map(|before| blobs.added(&before.blob, bytes, budget));
            let added = added.transpose().map_err(Unjudged::Exhausted)?;
            let from = before.as_ref().zip(added.as_ref());
            let from = from.map(|(before, added)| (&before.notes, &added.parts[..]));
            let on_this = Series {
                from,
                notes: &mut notes,
            };
            let mut hits = self.hits(&text(bytes), Some(on_this))?;
            *noted = Some(Noted {
                blob: bytes.clone(),
                notes,
            });
            // A bound that was reached far away must not hide what is in the window.
            let is_whole = !hits.iter().any(|hit| hit.rule.starts_with("limit/"));
            if is_whole || window.len() == bytes.len() {
                // What lies further away is not told where it is not looked at either.
                hits.retain(|hit| hit.bytes.start <= window.end && window.start <= hit.bytes.end);
                return Ok(hits);
            }
        }
        let mut hits = self.hits(&text(&bytes[window.clone()]), None)?;
        for hit in &mut hits {
            hit.bytes = hit.bytes.start + window.start..hit.bytes.end + window.start;
        }
        Ok(hits)
    }

    /// `noted` is of the version that was looked into before, and then of this one, if it is not the last.
    fn blob(
        &self,
        blobs: &mut Blobs<'_>,
        job: &Job<'_>,
        noted: &mut Option<Noted>,
        is_last: bool,
    ) -> Result<Judged, Unjudged> {
        let budget = self.request.budget;
        let mut judged = Judged {
            findings: Vec::new(),
            bytes: 0,
            lines: 0,
        };
        let size = match blobs.reader.header(&job.blob)? {
            Some((ObjectKind::Blob, size)) => size,
            Some((kind, _)) => {
                let why = format!("a tree names {} as a file, but it is a {kind:?}", job.blob);
                return Err(Unjudged::Repository(why));
            }
            None => return Err(RepoError::Missing(job.blob).into()),
        };
        if size > budget.bounds().blob_bytes {
            for occurrence in &job.places {
                let title = "content was not looked into because a bound was reached";
                let mut found = Finding::new("limit/unscanned", title, occurrence.place(job));
                found.detail = Some(format!(
                    "{size} bytes, at most {} are read",
                    budget.bounds().blob_bytes
                ));
                judged.findings.push(found);
            }
            return Ok(judged);
        }
        let is_policy = *job.path == REPOSITORY_POLICY;
        if self.checks.is_empty() && !self.count_lines && !is_policy {
            return Ok(judged);
        }
        let bytes = blobs.load(&job.blob, size, budget)?;
        let hits = self.added_hits(blobs, job, &bytes, noted, is_last, &mut judged.bytes)?;
        if self.count_lines {
            judged.lines = before::lines(blobs, job, &bytes, budget)?;
        }
        if is_policy
            && let Err(error) = RepositoryPolicy::parse(
                REPOSITORY_POLICY,
                &bytes,
                &known_names(self.request.policy),
            )
        {
            // It will hold from the next push on; whoever writes it must hear of mistakes now.
            for occurrence in &job.places {
                let title = "the repository's own policy cannot be used";
                let mut found = Finding::new("policy/invalid", title, occurrence.place(job));
                found.detail = Some(error.brief());
                judged.findings.push(found);
            }
        }
        if hits.is_empty() {
            return Ok(judged);
        }
        for occurrence in &job.places {
            let versions = before::versions(blobs, occurrence.change, &bytes, budget)?;
            let mut earlier = Vec::with_capacity(versions.len());
            for version in versions {
                let text = Text {
                    part: job.part,
                    path: Some(version.path),
                    bytes: &version.bytes,
                };
                earlier.push((self.hits(&text, None)?, version));
            }
            for hit in &hits {
                budget.check_time().map_err(Unjudged::Exhausted)?;
                let mut found = finding(hit.clone(), occurrence.place(job), &bytes);
                // Nothing was added here, and the version before said the same. In a merge one such parent is
                // enough: its own commit was judged, or is trusted.
                let was_there = earlier.iter().any(|(hits, version)| {
                    !version.added.touches(&hit.bytes)
                        && !self.leaves_its_suppression(hit, version.path, job.path)
                        && hits
                            .iter()
                            .any(|old| same(old, &version.bytes, hit, &bytes))
                });
                if was_there && !hit.rule.starts_with("limit/") {
                    let family = hit.rule.split('/').next().unwrap_or_default();
                    found.original = Some(hit.rule.clone());
                    found.rule = format!("{family}/already-present").into();
                    found.title = format!("was there before this push: {}", hit.title).into();
                }
                judged.findings.push(found);
            }
        }
        Ok(judged)
    }
}

impl Pass<'_> {
    /// A file moved out of where its value was suppressed: nobody has agreed to the value there.
    fn leaves_its_suppression(&self, hit: &Hit, from: &BStr, to: &BStr) -> bool {
        let value = hit.evidence.as_ref().map(|evidence| evidence.fingerprint);
        let named = |path: &BStr| self.suppressed.find(&hit.rule, value, Some(path)).is_some();
        from != to && named(from) && !named(to)
    }
}

/// Whether two hits in two versions of a text are the same fact.
fn same(old: &Hit, old_text: &[u8], new: &Hit, new_text: &[u8]) -> bool {
    let value = |hit: &Hit| hit.evidence.as_ref().map(|evidence| evidence.fingerprint);
    old.rule == new.rule
        && value(old) == value(new)
        && (value(old).is_some()
            || old_text.get(old.bytes.clone()) == new_text.get(new.bytes.clone()))
}

impl Occurrence<'_> {
    fn place(&self, job: &Job<'_>) -> Place {
        let mut place = Place::new(job.part);
        place.commit = self.commit;
        place.ref_name = self.ref_name.cloned();
        place.path = Some(BString::from(job.path.as_bytes()));
        place
    }
}

fn finding(hit: Hit, mut place: Place, bytes: &[u8]) -> Finding {
    place.span = Some(span(&hit.bytes, bytes));
    let mut found = Finding::new(hit.rule, hit.title, place);
    found.confidence = hit.confidence;
    found.evidence = hit.evidence;
    found.detail = hit.detail;
    found
}

/// Line and column of a place in a text.
fn span(range: &Range<usize>, bytes: &[u8]) -> Span {
    let before = &bytes[..range.start.min(bytes.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
    Span {
        bytes: range.clone(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    }
}
