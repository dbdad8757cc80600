//! Documents that clients name by an id instead of sending them: those of the dashboard, those of the operators' folder
//! of trusted documents, and those that clients registered (automatic persisted queries).

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use async_graphql::ServerError;
use moka::sync::Cache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    codes::{BAD_USER_INPUT, PERSISTED_QUERY_NOT_FOUND},
    config::graphql::GraphqlConfig,
    graphql::error::with_code,
    http::{
        error::Failure,
        graphql::parameters::{Parameters, PersistedQuery},
        pages::DASHBOARD_DOCUMENTS,
    },
};

/// The most bytes that are read from the folder, over all files.
const FOLDER_BYTES: u64 = 1 << 24;
/// The bytes that an entry of the cache takes besides its id and text.
const ENTRY_BYTES: usize = 256;

/// The dashboard's documents. They are part of the gateway, so they are always trusted.
static DASHBOARD: LazyLock<HashMap<String, Arc<str>>> =
    LazyLock::new(|| serde_json::from_str(DASHBOARD_DOCUMENTS).expect("the page's build writes a map of texts"));

/// Why the folder of trusted documents cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder, or a file in it, cannot be read.
    #[error("cannot read {0}, of PERSISTED_DOCUMENTS_DIR: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// A file has an unknown format.
    #[error("{0}, of PERSISTED_DOCUMENTS_DIR, is neither a map from ids to documents nor a manifest of operations")]
    Form(PathBuf),
    /// The folder is too large.
    #[error("PERSISTED_DOCUMENTS_DIR holds more than {FOLDER_BYTES} bytes")]
    TooLarge,
    /// The folder has no documents.
    #[error("PERSISTED_DOCUMENTS_DIR, {0}, holds no document: expected .graphql, .gql or .json files")]
    Empty(PathBuf),
}

/// Documents by their ids. Cheap to clone.
#[derive(Clone)]
pub struct PersistedDocuments {
    trusted: Arc<HashMap<String, Arc<str>>>,
    trusted_only: bool,
    registered: Cache<String, Arc<str>>,
}

/// The document of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) text: Arc<str>,
    /// The hash to register it under once it proved valid; none if it need not be registered.
    pub(super) register_as: Option<String>,
}

impl PersistedDocuments {
    /// Reads the documents of the configured folder; the cache starts empty.
    ///
    /// # Errors
    /// When the folder cannot be read, is too large, holds no document, or holds a file of an unknown format.
    pub fn read(config: &GraphqlConfig) -> Result<Self, FolderError> {
        let trusted = config.persisted_documents.as_deref().map(read_folder).transpose()?.unwrap_or_default();
        let bytes = if config.persisted_only { 0 } else { config.persisted_cache_bytes };
        let size =
            |id: &String, text: &Arc<str>| u32::try_from(id.len() + text.len() + ENTRY_BYTES).unwrap_or(u32::MAX);
        Ok(Self {
            trusted: Arc::new(trusted),
            trusted_only: config.persisted_only,
            registered: Cache::builder().max_capacity(bytes).weigher(size).build(),
        })
    }

    /// How many documents the operators trust.
    #[must_use]
    pub fn count(&self) -> usize {
        self.trusted.len()
    }

    fn trusted(&self, id: &str) -> Option<&Arc<str>> {
        self.trusted.get(id).or_else(|| DASHBOARD.get(id))
    }

    /// The document that `parameters` send or name.
    pub(super) fn find(&self, parameters: &Parameters) -> Result<Found, Refused> {
        let text = parameters.query.as_deref().filter(|query| !query.trim().is_empty());
        let hash = parameters.persisted_query.as_ref().map(hash_of).transpose()?;
        let id = hash.as_deref().or(parameters.document_id.as_deref().map(without_prefix));
        match (text, id) {
            (None, None) => {
                Err(Failure::BadParameters("The request has no `query` and no id of a document.".to_owned()).into())
            }
            (None, Some(id)) => {
                let text = self.trusted(id).cloned().or_else(|| self.registered.get(id));
                // Clients of automatic persisted queries look for exactly this message.
                let text = text.ok_or_else(|| not_found("PersistedQueryNotFound"))?;
                Ok(Found { text, register_as: None })
            }
            (Some(text), _) => {
                let actual = (hash.is_some() || self.trusted_only).then(|| sha256(text));
                if hash.is_some() && hash != actual {
                    let problem = "`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`.";
                    return Err(with_code(ServerError::new(problem, None), BAD_USER_INPUT).into());
                }
                if self.trusted_only && actual.is_none_or(|hash| self.trusted(&hash).is_none()) {
                    return Err(not_found(
                        "This gateway runs trusted documents only, and this document is not one of them.",
                    ));
                }
                let register_as = hash.filter(|hash| !self.trusted_only && self.registered.get(hash).is_none());
                Ok(Found { text: text.into(), register_as })
            }
        }
    }

    /// Registers a document that proved valid.
    pub(super) fn remember(&self, found: &Found) {
        if let Some(hash) = &found.register_as {
            self.registered.insert(hash.clone(), Arc::clone(&found.text));
        }
    }
}

/// Why a request has no document to run.
#[derive(Debug)]
pub(super) enum Refused {
    /// The request is not valid.
    Failure(Failure),
    /// A GraphQL error.
    Error(ServerError),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<ServerError> for Refused {
    fn from(error: ServerError) -> Self {
        Self::Error(error)
    }
}

fn not_found(problem: &str) -> Refused {
    with_code(ServerError::new(problem, None), PERSISTED_QUERY_NOT_FOUND).into()
}

fn hash_of(named: &PersistedQuery) -> Result<String, Failure> {
    if named.version != 1 {
        return Err(Failure::BadParameters("`extensions.persistedQuery.version` must be 1.".to_owned()));
    }
    Ok(named.sha256_hash.to_ascii_lowercase())
}

fn without_prefix(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// Reads the files of a folder. A `.graphql` or `.gql` file is one document, and its id is the hash of its text. A
/// `.json` file is a map from ids to documents, as code generators write it, or Apollo's manifest of operations.
fn read_folder(folder: &Path) -> Result<HashMap<String, Arc<str>>, FolderError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| FolderError::Io(path, error)
    };
    let mut documents = HashMap::new();
    let mut left = FOLDER_BYTES;
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !matches!(extension, "graphql" | "gql" | "json") {
            continue;
        }
        let size = fs::metadata(&path).map_err(failed(&path))?.len();
        left = left.checked_sub(size).ok_or(FolderError::TooLarge)?;
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        if extension == "json" {
            let manifest = serde_json::from_str(&text).ok().and_then(|manifest| operations(&manifest));
            documents.extend(manifest.ok_or_else(|| FolderError::Form(path.clone()))?);
        } else {
            // Editors end a file with a line break that clients do not send, so both texts are accepted.
            for text in [text.as_str(), text.trim_end()] {
                documents.insert(sha256(text), text.into());
            }
        }
    }
    if documents.is_empty() { Err(FolderError::Empty(folder.to_owned())) } else { Ok(documents) }
}

/// The ids and documents of a JSON file.
fn operations(manifest: &Value) -> Option<Vec<(String, Arc<str>)>> {
    let entry = |id: &str, text: &Value| {
        let text = text.as_str()?;
        // Under its hash too, for clients that send the text itself.
        Some([(without_prefix(id).to_owned(), text.into()), (sha256(text), text.into())])
    };
    let entries: Option<Vec<_>> = match manifest.get("operations") {
        Some(operations) => {
            operations.as_array()?.iter().map(|item| entry(item["id"].as_str()?, &item["body"])).collect()
        }
        None => manifest.as_object()?.iter().map(|(id, text)| entry(id, text)).collect(),
    };
    Some(entries?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    const DOCUMENT: &str = "{ __typename }";

    fn documents(
        folder: Option<&Path>,
        variables: &'static [(&'static str, &'static str)],
    ) -> Result<PersistedDocuments, FolderError> {
        let folder = folder.map(|folder| folder.display().to_string());
        let look_up = move |name: &str| match name {
            "PERSISTED_DOCUMENTS_DIR" => folder.clone(),
            _ => variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        PersistedDocuments::read(&Config::read(&Environment::new(look_up)).unwrap().graphql)
    }

    fn named(query: Option<&str>, hash: &str) -> Parameters {
        let persisted_query = Some(PersistedQuery { version: 1, sha256_hash: hash.to_owned() });
        Parameters { query: query.map(ToOwned::to_owned), persisted_query, ..Parameters::default() }
    }

    #[test]
    fn the_dashboard_may_ask_even_where_only_trusted_documents_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("one.graphql"), DOCUMENT).unwrap();
        let documents = documents(Some(folder.path()), &[("PERSISTED_ONLY", "true")]).unwrap();
        assert_eq!(documents.count(), 1);
        assert!(!DASHBOARD.is_empty());
        for (id, text) in &*DASHBOARD {
            assert_eq!(*id, sha256(text), "run `make web`");
            let named = Parameters { document_id: Some(id.clone()), ..Parameters::default() };
            assert_eq!(documents.find(&named).unwrap().text, *text);
        }
    }

    #[test]
    fn what_clients_registered_is_bounded_in_bytes() {
        let documents = documents(None, &[("PERSISTED_CACHE_BYTES", "10000")]).unwrap();
        for number in 0..100 {
            let text = format!("{{ a{number}: __typename }}{}", " ".repeat(1_000));
            let found = documents.find(&named(Some(&text), &sha256(&text))).unwrap();
            documents.remember(&found);
        }
        documents.registered.run_pending_tasks();
        assert!(
            (1..=10_000).contains(&documents.registered.weighted_size()),
            "{}",
            documents.registered.weighted_size()
        );
    }

    #[test]
    fn files_of_every_form_are_understood() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("one.graphql", "{ one: __typename }\n");
        write("map.json", r#"{ "sha256:abc": "{ two: __typename }" }"#);
        write(
            "manifest.json",
            r#"{ "format": "apollo-persisted-query-manifest", "version": 1, "operations": [{ "id": "def", "name": "Q", "type": "query", "body": "{ three: __typename }" }] }"#,
        );
        write("notes.txt", "no document");
        let documents = documents(Some(folder.path()), &[("PERSISTED_ONLY", "true")]).unwrap();
        for (id, text) in [
            (sha256("{ one: __typename }").as_str(), "{ one: __typename }"),
            ("abc", "{ two: __typename }"),
            ("def", "{ three: __typename }"),
        ] {
            assert_eq!(&*documents.find(&named(None, id)).unwrap().text, text);
            let sent = Parameters { query: Some(text.to_owned()), ..Parameters::default() };
            assert_eq!(&*documents.find(&sent).unwrap().text, text);
        }
        assert!(matches!(documents.find(&named(Some(DOCUMENT), &sha256(DOCUMENT))), Err(Refused::Error(_))));
    }

    #[test]
    fn folders_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        assert!(documents(Some(&missing), &[]).err().unwrap().to_string().contains("missing"));
        assert!(matches!(documents(Some(folder.path()), &[]), Err(FolderError::Empty(_))));
        fs::write(folder.path().join("list.json"), "[1]").unwrap();
        assert!(documents(Some(folder.path()), &[]).err().unwrap().to_string().contains("list.json"));
    }
}
