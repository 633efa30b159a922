//! Trees of deltas, shared among threads: each thread goes down into one and gives away what waits there when another
//! has nothing to do.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::pack::{Pack, State};
use super::reading::{Reading, is_own};
use super::sources::Sources;
use super::{Part, Visit, delta};
use crate::push::Oid;
use crate::repo::Kind;

/// What all threads together hold of texts that others are made from, in bytes. Of the deltas of one base the largest tree is
/// the last, so that on the way down no more than about twenty texts are held.
const HELD_MAX_BYTES: u64 = 2 << 30;
/// Roots that are taken at once: they stand beside one another in the pack.
const ROOTS_AT_ONCE: usize = 32;

/// Something to decode.
pub(super) enum Task<K> {
    /// An object that is stored whole, or against a base elsewhere.
    Root { pack: u32, entry: u32 },
    /// A delta against what was made before.
    Below {
        pack: u32,
        entry: u32,
        base: Arc<Held<K>>,
    },
    /// A loose object.
    Loose { at: u32 },
}

/// A text from which others are made.
pub(super) struct Held<K> {
    kind: Kind,
    text: Vec<u8>,
    kept: Option<K>,
}

/// An object that could not be decoded, with all that hang below it.
pub(super) struct Failure {
    pub(super) id: Oid,
    /// The name of the pack; `None`: it is loose.
    pub(super) pack: Option<String>,
    pub(super) why: String,
    /// The objects that were wanted.
    pub(super) objects: Vec<Oid>,
}

/// What all threads see.
pub(super) struct Shared<'s, K> {
    pub(super) sources: &'s Sources,
    roots: &'s [Root],
    next_root: AtomicUsize,
    pool: Mutex<Pool<K>>,
    news: Condvar,
    waiting: AtomicUsize,
    threads: usize,
    over: AtomicBool,
    held: AtomicU64,
}

/// A place where a thread may begin.
#[derive(Clone, Copy)]
pub(super) enum Root {
    Packed { pack: u32, entry: u32 },
    Loose { at: u32 },
}

struct Pool<K> {
    tasks: Vec<Task<K>>,
}

impl<'s, K: Send + Sync> Shared<'s, K> {
    pub(super) fn new(sources: &'s Sources, roots: &'s [Root], threads: usize) -> Self {
        Shared {
            sources,
            roots,
            next_root: AtomicUsize::new(0),
            pool: Mutex::new(Pool { tasks: Vec::new() }),
            news: Condvar::new(),
            waiting: AtomicUsize::new(0),
            threads,
            over: AtomicBool::new(false),
            held: AtomicU64::new(0),
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool<K>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the next thing to do on the pile of a thread, or waits for one that another thread gives away. `false`: there is
    /// nothing left for anybody.
    fn refill(&self, pile: &mut Vec<Task<K>>) -> bool {
        let from = self.next_root.fetch_add(ROOTS_AT_ONCE, Ordering::Relaxed);
        if let Some(roots) = self.roots.get(from..) {
            let roots = &roots[..roots.len().min(ROOTS_AT_ONCE)];
            pile.extend(roots.iter().rev().map(|root| match *root {
                Root::Packed { pack, entry } => Task::Root { pack, entry },
                Root::Loose { at } => Task::Loose { at },
            }));
            if !pile.is_empty() {
                return true;
            }
        }
        // It must not run over, however long the others go on.
        self.next_root.store(self.roots.len(), Ordering::Relaxed);
        let mut pool = self.pool();
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        if waiting == self.threads && pool.tasks.is_empty() {
            self.end();
        }
        loop {
            if let Some(task) = pool.tasks.pop() {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
                pile.push(task);
                return true;
            }
            if self.over.load(Ordering::Relaxed) {
                return false;
            }
            pool = self.news.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.news.notify_all();
    }

    /// Gives away the older half of a pile, which are the larger trees, while another thread waits.
    fn share(&self, pile: &mut Vec<Task<K>>) {
        if pile.len() < 2 || self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut pool = self.pool();
        if pool.tasks.is_empty() {
            pool.tasks.extend(pile.drain(..pile.len() / 2));
            self.news.notify_all();
        }
    }
}

/// One thread.
pub(super) struct Worker<'w, V: Visit> {
    shared: &'w Shared<'w, V::Kept>,
    visitor: V,
    reading: Reading,
    failures: Vec<Failure>,
    delta: Vec<u8>,
    parts: Vec<Part>,
    pile: Vec<Task<V::Kept>>,
}

/// Ends the waiting of all others when a thread panics.
struct Ends<'w, K: Send + Sync>(&'w Shared<'w, K>);

impl<K: Send + Sync> Drop for Ends<'_, K> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _pool = self.0.pool();
            self.0.end();
        }
    }
}

impl<'w, V: Visit> Worker<'w, V> {
    pub(super) fn new(shared: &'w Shared<'w, V::Kept>, visitor: V) -> Self {
        Worker {
            shared,
            visitor,
            reading: Reading::new(),
            failures: Vec::new(),
            delta: Vec::new(),
            parts: Vec::new(),
            pile: Vec::new(),
        }
    }

    /// Works until nothing is left.
    pub(super) fn run(mut self) -> (V, Vec<Failure>) {
        let _ends = Ends(self.shared);
        loop {
            while let Some(task) = self.pile.pop() {
                self.shared.share(&mut self.pile);
                self.one(task);
            }
            if !self.shared.refill(&mut self.pile) {
                return (self.visitor, self.failures);
            }
        }
    }

    fn one(&mut self, task: Task<V::Kept>) {
        match task {
            Task::Root { pack, entry } => self.root(pack, entry),
            Task::Below { pack, entry, base } => {
                let shared = self.shared;
                if let Err(why) = self.below(pack, entry, &base) {
                    self.fail(pack, entry, why);
                }
                if let Some(base) = Arc::into_inner(base) {
                    shared
                        .held
                        .fetch_sub(base.text.len() as u64, Ordering::Relaxed);
                    self.reading.recycle(base.text);
                }
            }
            Task::Loose { at } => self.loose(at),
        }
    }

    fn pack(&self, pack: u32) -> &'w Pack {
        &self.shared.sources.packs[pack as usize]
    }

    fn root(&mut self, pack: u32, entry: u32) {
        let sources = self.shared.sources;
        let mut text = self.reading.buffer();
        let of = self.pack(pack);
        if of.elsewhere.contains_key(&entry) {
            // The base is no part of this tree, so that nothing is kept of it.
            match sources.alone(&mut self.reading, pack, entry) {
                Ok((kind, whole)) => self.whole(pack, entry, kind, whole),
                Err(why) => self.fail(pack, entry, why),
            }
            return;
        }
        let State::Of(kind) = of.entries[entry as usize].state else {
            return;
        };
        let read = self
            .reading
            .entry(&sources.packs, pack as usize, entry, &mut text);
        match read {
            Ok(_) => self.whole(pack, entry, kind, text),
            Err(why) => self.fail(pack, entry, why),
        }
    }

    fn whole(&mut self, pack: u32, entry: u32, kind: Kind, text: Vec<u8>) {
        let of = self.pack(pack);
        let mut kept = None;
        if of.entries[entry as usize].is_wanted {
            let id = of.id(entry);
            match kind {
                Kind::Blob => kept = Some(self.visitor.blob(&id, &text)),
                _ => self.visitor.object(&id, kind, &text),
            }
        }
        self.go_down(pack, entry, Held { kind, text, kept });
    }

    fn below(&mut self, pack: u32, entry: u32, base: &Held<V::Kept>) -> Result<(), String> {
        let sources = self.shared.sources;
        let mut text = self.reading.buffer();
        self.reading
            .entry(&sources.packs, pack as usize, entry, &mut self.delta)?;
        delta::apply(&self.delta, &base.text, &mut text, &mut self.parts)?;
        let of = self.pack(pack);
        let mut kept = None;
        if of.entries[entry as usize].is_wanted {
            let id = of.id(entry);
            match (base.kind, &base.kept) {
                (Kind::Blob, Some(before)) => {
                    kept = Some(self.visitor.made(&id, &text, before, &self.parts));
                }
                (Kind::Blob, None) => kept = Some(self.visitor.blob(&id, &text)),
                (kind, _) => self.visitor.object(&id, kind, &text),
            }
        }
        let kind = base.kind;
        self.go_down(pack, entry, Held { kind, text, kept });
        Ok(())
    }

    /// Puts what is made from a text on the pile, the largest tree at the bottom.
    fn go_down(&mut self, pack: u32, entry: u32, held: Held<V::Kept>) {
        let of = self.pack(pack);
        let weight = |entry: &u32| of.entries[*entry as usize].weight;
        let mut children: Vec<u32> = of.children(entry).filter(|at| weight(at) > 0).collect();
        if children.is_empty() {
            self.reading.recycle(held.text);
            return;
        }
        let bytes = held.text.len() as u64;
        let before = self.shared.held.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > HELD_MAX_BYTES {
            self.shared.held.fetch_sub(bytes, Ordering::Relaxed);
            for child in children {
                self.fail(pack, child, super::TOO_MUCH.to_owned());
            }
            return;
        }
        children.sort_by_key(|at| std::cmp::Reverse((weight(at), *at)));
        let base = Arc::new(held);
        self.pile
            .extend(children.into_iter().map(|entry| Task::Below {
                pack,
                entry,
                base: base.clone(),
            }));
    }

    fn loose(&mut self, at: u32) {
        let (id, path) = self.shared.sources.loose_at(at as usize);
        let mut text = self.reading.buffer();
        match self.reading.loose(&path, &mut text) {
            Ok(Some(Kind::Tree)) => {}
            Ok(Some(kind)) if self.visitor.wants(&id, kind) => match kind {
                _ if !is_own(&id, kind, &text) => self.failures.push(Failure {
                    id,
                    pack: None,
                    why: "its content does not match its id".to_owned(),
                    objects: vec![id],
                }),
                Kind::Blob => drop(self.visitor.blob(&id, &text)),
                _ => self.visitor.object(&id, kind, &text),
            },
            Ok(Some(_)) => {}
            Ok(None) => self.failures.push(Failure {
                id,
                pack: None,
                why: super::GONE.to_owned(),
                objects: vec![id],
            }),
            Err(why) => self.failures.push(Failure {
                id,
                pack: None,
                why,
                objects: vec![id],
            }),
        }
        self.reading.recycle(text);
    }

    fn fail(&mut self, pack: u32, entry: u32, why: String) {
        let of = self.pack(pack);
        let wanted = |at: &u32| of.entries[*at as usize].is_wanted;
        let below = of.below(entry);
        let objects = std::iter::once(entry).chain(below).filter(wanted);
        self.failures.push(Failure {
            id: of.id(entry),
            pack: Some(of.name.clone()),
            why,
            objects: objects.map(|at| of.id(at)).collect(),
        });
    }
}
