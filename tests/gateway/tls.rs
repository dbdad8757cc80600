//! TLS, and renewal of certificates.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::support::{
    certify,
    process::{PATIENCE, Service, is_closed, query},
    requests::{HEATMAP, ask_http2, heatmap},
};

/// A connection that trusts the certificate in the file, and the protocol that was negotiated.
async fn connect_tls(
    address: SocketAddr,
    certificate: &Path,
    protocols: &[&[u8]],
) -> std::io::Result<(impl AsyncRead + AsyncWrite + Unpin + Send + use<>, Option<Vec<u8>>)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    Ok((stream, agreed))
}

#[tokio::test]
async fn tls_is_spoken_and_its_certificate_renewed() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path(), "localhost");
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let variables = [
        ("TLS_CERT_FILE", certificate.to_str().unwrap()),
        ("TLS_KEY_FILE", key.to_str().unwrap()),
        ("USAGE_LOG_INTERVAL", "off"),
        ("HEADER_TIMEOUT", "1s"),
    ];
    // `start` sends the readiness probe without TLS, as Kubernetes does.
    let service = Service::start(&variables).await;
    let plain = query(service.address, HEATMAP).await.unwrap();
    assert_eq!(
        (plain.status.as_u16(), plain.json()["errors"][0]["extensions"]["code"].clone()),
        (400, json!("TLS_REQUIRED"))
    );
    // An incomplete handshake is ended after a time.
    let mut silent = TcpStream::connect(service.address).await.unwrap();
    silent.write_all(b"\x16\x03\x01").await.unwrap();
    assert!(is_closed(&mut silent).await);

    let (stream, agreed) = connect_tls(service.address, &certificate, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(agreed.as_deref(), Some(b"h2".as_slice()));
    let (mut sender, connection) =
        http2::handshake::<_, _, Body>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(ask_http2(&mut sender, service.address).await.unwrap().0, 200);

    let (stream, agreed) = connect_tls(service.address, &certificate, &[b"http/1.1"]).await.unwrap();
    assert_eq!(agreed.as_deref(), Some(b"http/1.1".as_slice()));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(heatmap()).header("host", "localhost").body(Body::empty()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["strict-transport-security"]),
        (200, &"max-age=15552000".parse().unwrap())
    );

    let old = folder.path().join("old.crt");
    std::fs::copy(&certificate, &old).unwrap();
    certify(folder.path(), "localhost");
    let renewed = async {
        while connect_tls(service.address, &certificate, &[]).await.is_err() {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("the new certificate is never used");
    assert!(connect_tls(service.address, &old, &[]).await.is_err());
}
