//! TLS without a proxy in front. A renewed certificate is loaded without a restart.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::server::TlsConfig;

/// How often the files are read to see whether they changed.
const LOOK: Duration = Duration::from_secs(1);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("cannot read {0}, of {1}: {2}")]
    File(PathBuf, &'static str, String),
    /// The certificate and the key do not match.
    #[error("TLS_CERT_FILE and TLS_KEY_FILE cannot be used together: {0}")]
    Pair(String),
}

/// Reads the certificate and its key.
///
/// # Errors
/// When they cannot be used.
pub fn read(files: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let cert_error = |error: String| TlsError::File(files.certificate.clone(), "TLS_CERT_FILE", error);
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| cert_error(error.to_string()))?;
    if certificates.is_empty() {
        return Err(cert_error("it holds no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::File(files.key.clone(), "TLS_KEY_FILE", error.to_string()))?;
    let pair = |error: tokio_rustls::rustls::Error| TlsError::Pair(error.to_string());
    let builder = ServerConfig::builder_with_provider(default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(pair)?;
    let mut config = builder.with_no_client_auth().with_single_cert(certificates, key).map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Reads the files every second until `stop` is cancelled. Files that cannot be used leave the current certificate in
/// place.
pub async fn keep_current(files: TlsConfig, current: watch::Sender<Arc<ServerConfig>>, stop: CancellationToken) {
    let contents = |files: &TlsConfig| (std::fs::read(&files.certificate).ok(), std::fs::read(&files.key).ok());
    let mut seen = contents(&files);
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let found = contents(&files);
        if found == seen {
            continue;
        }
        seen = found;
        match read(&files) {
            Ok(config) => {
                current.send_replace(config);
                info!("TLS certificate read again");
            }
            Err(error) => error!(%error, "TLS certificate not read again: the one from before stays"),
        }
    }
}
