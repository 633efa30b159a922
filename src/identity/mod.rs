//! Who pushes: the policy entry that the pusher matches, and the boundary that holds for it here and now.

use crate::policy::{Boundary, Kind, Mode};

/// The pusher as the policy sees it, with its effective boundary.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Name of the policy entry; `None`: it matched none, and `unknown:` names a boundary.
    pub name: Option<String>,
    /// Kind of the entry. A pusher that matched none is judged like an agent.
    pub kind: Kind,
    /// `owner:`.
    pub owner: Option<String>,
    /// `authors:`, as written: `Name <mail>`.
    pub authors: Vec<String>,
    /// Mode for this identity.
    pub mode: Mode,
    /// What it may do.
    pub boundary: Boundary,
}
