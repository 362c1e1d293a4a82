//! Whose certificates a relay may have.

use std::env;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use delivery::{FailureClass, Scope};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::Example;
use crate::relay::converse;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Of 127.0.0.1 and until 2120, vouched for by nobody but itself. Its key guards nothing.
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/relay.pem");
const KEY: &[u8] = include_bytes!("relay-key.der");

/// A relay over TLS that takes everything.
async fn start() -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(CERTIFICATE).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(KEY).into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // One that does not trust the certificate hangs up.
            if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, Arc::default(), Arc::default(), Arc::default()).await;
            }
        }
    });
    address
}

/// This test once more, in a process whose system trusts the relay's certificate.
async fn where_it_is_trusted(url: String) -> Output {
    let test = "trust::a_relay_is_trusted_by_the_system_s_certificates";
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact"]);
    command.env("SMTP_URL", url);
    command.env("SSL_CERT_FILE", CERTIFICATE);
    let output = spawn_blocking(move || command.output()).await.unwrap();
    output.unwrap()
}

#[tokio::test]
async fn a_relay_is_trusted_by_the_system_s_certificates() {
    if env::var_os("SSL_CERT_FILE").is_some_and(|file| file == CERTIFICATE) {
        let email = Example::parse_from(["example"]).email;
        email_notifier::greet(&email, TIMEOUT).await.unwrap();
        return;
    }
    let url = format!("smtps://{}", start().await);
    let email = Example::parse_from(["example", "--smtp-url", &url]).email;
    let error = email_notifier::greet(&email, TIMEOUT).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Misconfigured(Scope::Account));

    let output = where_it_is_trusted(url).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
}
