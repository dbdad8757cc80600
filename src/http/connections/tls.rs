//! TLS for those without a proxy that ends it: the certificate is read again when it is renewed.

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

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds something else.
    #[error("cannot read {0}, of {1}: {2}")]
    File(PathBuf, &'static str, String),
    /// They do not belong together.
    #[error("TLS_CERT_FILE and TLS_KEY_FILE cannot be used together: {0}")]
    Pair(String),
}

/// The certificate and its key, as they are now.
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

/// Reads the files again and again, until the process ends. Files that are wrong leave the certificate as it was.
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
