//! A client of the Runner API for the tests of the shell: as raw as possible, so that it can also do what no runner
//! does.

use reqwest::{Client, Response};
use runner_coordinator::core::{Coordinator, JobId, NewJob, NewRunner, Options};
use runner_coordinator::http::{Handle, Server, ServerOptions};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server with one runner, and a client for it.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) handle: Handle,
    pub(crate) client: Client,
    pub(crate) token: String,
    pub(crate) folder: TempDir,
}

impl Site {
    pub(crate) async fn start(options: Options) -> Self {
        Self::start_with(options, |server| server).await
    }

    pub(crate) async fn start_with(
        options: Options,
        change: impl FnOnce(ServerOptions) -> ServerOptions,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = ([127, 0, 0, 1], 0).into();
        let server_options = change(ServerOptions::new(folder.path()));
        let server = Server::bind(address, Coordinator::new(options), server_options).await.unwrap();
        let handle = server.handle();
        let runner = handle.create_runner(NewRunner::default());
        // Plain HTTP only, but the library wants a provider of TLS when any crate of the build switched TLS on.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { server, handle, client, token: runner.token.expose_secret().to_owned(), folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/api/v4/{path}", self.server.url())
    }

    pub(crate) fn enqueue(&self, name: &str) -> JobId {
        self.handle.enqueue(NewJob::new(json!({ "job_info": { "name": name } })))
    }

    /// `POST jobs/request` with features.
    pub(crate) async fn request_with(&self, body: Value) -> Response {
        let mut whole = json!({ "token": self.token, "system_id": "s_1" });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.client.post(self.url("jobs/request")).json(&whole).send().await.unwrap()
    }

    pub(crate) async fn request(&self) -> Response {
        self.request_with(json!({})).await
    }

    /// Takes the next job and returns its id and token.
    pub(crate) async fn take(&self, features: Value) -> (JobId, String) {
        let answer = self.request_with(json!({ "info": { "features": features } })).await;
        assert_eq!(answer.status(), 201);
        let payload: Value = answer.json().await.unwrap();
        (JobId(payload["id"].as_u64().unwrap()), payload["token"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn update(&self, job: JobId, token: &str, body: Value) -> Response {
        let mut whole = json!({ "token": token });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.client.put(self.url(&format!("jobs/{job}"))).json(&whole).send().await.unwrap()
    }

    pub(crate) async fn patch(
        &self,
        job: JobId,
        token: &str,
        start: usize,
        bytes: &[u8],
    ) -> reqwest::Result<Response> {
        self.client
            .patch(self.url(&format!("jobs/{job}/trace?debug_trace=false")))
            .header("JOB-TOKEN", token)
            .header("Content-Range", format!("{start}-{}", start + bytes.len() - 1))
            .header("Content-Type", "text/plain")
            .body(bytes.to_vec())
            .send()
            .await
    }

    pub(crate) async fn upload(
        &self,
        job: JobId,
        token: &str,
        query: &str,
        name: &str,
        content: Vec<u8>,
    ) -> Response {
        let part = reqwest::multipart::Part::bytes(content).file_name(name.to_owned());
        self.client
            .post(self.url(&format!("jobs/{job}/artifacts?{query}")))
            .header("JOB-TOKEN", token)
            .multipart(reqwest::multipart::Form::new().part("file", part))
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn download(&self, job: JobId, token: &str, query: &str) -> reqwest::Result<Response> {
        self.client
            .get(self.url(&format!("jobs/{job}/artifacts?{query}")))
            .header("JOB-TOKEN", token)
            .send()
            .await
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Bytes that neither compress nor repeat.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
