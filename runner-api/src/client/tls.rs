//! What jobs are told about the connection to the instance.

use std::sync::PoisonError;

use http::Response;
use url::Url;

use super::Client;
use crate::transport::{Body, TlsData};

impl Client {
    /// What jobs need to reach the instance over TLS, as of the last answer it gave to this client or a clone of it:
    /// ask right after a [job request](Self::request_job) gave a job. Before the first answer, and for plain HTTP without
    /// any certificate file, there is [nothing](TlsData::is_empty) to tell.
    ///
    /// Answers of other servers, to which a download was redirected, do not count.
    ///
    /// ```no_run
    /// use runner_api::{Client, JobAnswer, JobRequest};
    ///
    /// # async fn example(client: Client, request: JobRequest) -> Result<(), runner_api::Error> {
    /// if let JobAnswer::Job(job) = client.request_job(&request).await? {
    ///     let tls = client.tls();
    ///     if !tls.ca_chain().is_empty() {
    ///         println!("job {} gets CI_SERVER_TLS_CA_FILE", job.id);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tls(&self) -> TlsData {
        self.shared.tls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what the transport tells of the connection to the instance.
    pub(super) fn remember_tls(&self, url: &Url, answer: &Response<Body>) {
        if self.shared.base.same_origin(url) {
            let told = answer.extensions().get::<TlsData>().cloned().unwrap_or_default();
            *self.shared.tls.lock().unwrap_or_else(PoisonError::into_inner) = told;
        }
    }
}
