//! One macro for the examples of [`Error`](crate::Error): they need a server that refuses.

/// The text of an example: a job request ends in `error`, about which the checks are made. The transport that makes it
/// fail is hidden.
macro_rules! error_example {
    (status $status:literal, $($check:literal),+) => {
        error_example!(
            concat!("// The server answers ", $status, "."),
            concat!(
                "Ok(http::Response::builder().status(", $status, ").header(\"retry-after\", \"7\")",
                ".header(\"content-type\", \"application/json\")",
                ".body(r#\"{\"message\":\"not now\"}\"#.into()).unwrap())"
            ),
            $($check),+
        )
    };
    (transport $kind:literal, $($check:literal),+) => {
        error_example!(
            concat!("// The transport ends with `TransportErrorKind::", $kind, "`."),
            concat!("Err(TransportError::new(TransportErrorKind::", $kind, ", \"for example\"))"),
            $($check),+
        )
    };
    ($comment:expr, $answer:expr, $($check:literal),+) => {
        concat!(
            "```\n",
            "# use runner_api::transport::*;\n",
            "# use runner_api::{ClientBuilder, JobRequest, RunnerCredentials, retry::RetryPolicy};\n",
            "# #[derive(Debug)]\n",
            "# struct Refusing;\n",
            "# #[async_trait::async_trait]\n",
            "# impl Transport for Refusing {\n",
            "#     async fn send(&self, _: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {\n",
            "#         ", $answer, "\n",
            "#     }\n",
            "# }\n",
            "# let client = ClientBuilder::new(\"https://gitlab.example.com\")?;\n",
            "# let client = client.retry(RetryPolicy::off()).transport(Refusing).build()?;\n",
            "# let request = JobRequest::new(RunnerCredentials::new(\"glrt-token\"));\n",
            "# tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {\n",
            $comment, "\n",
            "let error = client.request_job(&request).await.unwrap_err();\n",
            $($check, "\n",)+
            "# });\n",
            "# Ok::<(), Box<dyn std::error::Error>>(())\n",
            "```"
        )
    };
}

pub(crate) use error_example;
