//! `.ringfence.yaml`: what a repository says of itself.

use std::sync::Arc;

use super::boundary::Layer;
use super::diagnostic::{Log, PolicyError};
use super::file::{check_version, checked_text, failed};
use super::{Known, boundaries, keys, read};

/// A repository's own policy: it can only narrow.
#[derive(Debug, Clone)]
pub struct RepositoryPolicy {
    layers: Vec<Arc<Layer>>,
}

impl RepositoryPolicy {
    /// Turns the text of `.ringfence.yaml` into layers.
    pub fn parse(
        name: &str,
        text: &[u8],
        known: &Known<'_>,
    ) -> Result<RepositoryPolicy, PolicyError> {
        let file: Arc<str> = name.into();
        let source = checked_text(&file, text)?;
        let mut log = Log::new(source, None);
        let layers = read::tree(source, &mut log).and_then(|tree| {
            check_version(&tree, &mut log)?;
            let top = read::fields(
                &tree,
                keys::REPOSITORY_POLICY,
                "the policy of a repository",
                tree.at,
                &mut log,
            )?;
            let mut reader = boundaries::Reader {
                file: &file,
                known,
                log: &mut log,
            };
            Some(reader.boundaries(top.get("boundaries")?))
        });
        let Some(layers) = layers else {
            return Err(failed(log, &file));
        };
        log.finish(&file)?;
        Ok(RepositoryPolicy {
            layers: layers.into_iter().map(|(_, layer)| layer).collect(),
        })
    }

    /// The layers for every boundary and for the one with this name.
    pub(crate) fn layers_for(&self, name: &str) -> impl Iterator<Item = &Arc<Layer>> {
        self.layers
            .iter()
            .filter(move |layer| layer.name == "*" || layer.name == name)
    }
}
