//! Monitors the expiry of the server's certificate.

use std::sync::{Mutex, OnceLock};

use jiff::Timestamp;
use prometheus::{Gauge, Registry};
use rustls::pki_types::CertificateDer;
use tracing::error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::metric_families::WEB_CERTIFICATE_NOT_AFTER;
use crate::panics::lock;

/// The expiry of the served certificate: a metric, and an error in the log once it has expired.
#[derive(Debug, Default)]
pub(super) struct CertificateEnd {
    not_after: OnceLock<Gauge>,
    /// The expiry that was last logged.
    logged: Mutex<Option<Timestamp>>,
}

impl CertificateEnd {
    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        // Registering it twice fails, so it is not set yet.
        let _ = self
            .not_after
            .set(WEB_CERTIFICATE_NOT_AFTER.register(registry)?);
        Ok(())
    }

    pub(super) fn set(&self, not_after: Timestamp) {
        if let Some(gauge) = self.not_after.get() {
            gauge.set(not_after.as_duration().as_secs_f64());
        }
    }

    /// Logs an expired certificate once.
    pub(super) fn check(&self, not_after: Timestamp, now: Timestamp) {
        let mut logged = lock(&self.logged);
        if not_after < now && *logged != Some(not_after) {
            *logged = Some(not_after);
            error!(%not_after, "the certificate of the web server has expired");
        }
    }
}

/// The expiry of a certificate; `None` if it cannot be parsed.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
