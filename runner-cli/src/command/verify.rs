//! `verify`: whether GitLab knows the runners of the configuration.

use std::io::Write;

use runner_api::RunnerCredentials;

use super::{Context, client, select::Selector};
use crate::args::VerifyArgs;
use crate::config::{Edit, Resolved};
use crate::error::{CliError, Exit, in_one_line};

/// What GitLab said about one entry.
enum Answer {
    Valid,
    Removed,
    /// Nothing is known.
    Unclear(CliError),
}

/// Asks for each entry. Only a clear refusal makes one count as removed.
pub(super) async fn run(context: &Context, arguments: &VerifyArgs) -> Result<Exit, CliError> {
    let loaded = context.load()?;
    let selector = Selector {
        name: arguments.name.as_deref(),
        url: arguments.url.as_deref(),
        token: arguments.token.as_ref(),
        id: None,
    };
    if selector.is_empty() && loaded.config.runners.is_empty() {
        tracing::info!("there is no runner in {}", context.config.display());
        return Ok(Exit::Success);
    }
    let mut removed = Vec::new();
    let mut unclear = 0;
    for entry in selector.apply(context, &loaded)? {
        let answer = ask(context, &entry).await;
        say(&entry, &answer)?;
        match answer {
            Answer::Valid => {}
            Answer::Removed => removed.push(entry.position),
            Answer::Unclear(_) => unclear += 1,
        }
    }
    if !removed.is_empty() && arguments.delete {
        let mut file = Edit::open(&context.config)?;
        file.remove(&removed)?;
        file.save()?;
        tracing::info!("removed {} of the runners from {}", removed.len(), context.config.display());
    } else if !removed.is_empty() {
        return Err(CliError::Failed(format!(
            "{} of the runners are not known any more; `runner verify --delete` removes them from {}",
            removed.len(),
            context.config.display()
        )));
    }
    Ok(if unclear > 0 { Exit::Failed } else { Exit::Success })
}

async fn ask(context: &Context, entry: &Resolved) -> Answer {
    let client = match client::for_entry(&context.host, entry) {
        Ok(client) => client,
        Err(error) => return Answer::Unclear(error),
    };
    let credentials =
        RunnerCredentials::new(entry.identity.token.clone()).with_system_id(entry.identity.system_id.clone());
    match client.verify(&credentials).await {
        Ok(_) => Answer::Valid,
        Err(error) if error.is_forbidden() => Answer::Removed,
        Err(source) => Answer::Unclear(CliError::Server { what: "cannot tell".to_owned(), source }),
    }
}

/// Probes of the official charts look for the words "is valid" and "is alive".
fn say(entry: &Resolved, answer: &Answer) -> Result<(), CliError> {
    let outcome = match answer {
        Answer::Valid => "is valid".to_owned(),
        Answer::Removed => "is removed".to_owned(),
        Answer::Unclear(error) => match std::error::Error::source(error) {
            Some(source) => format!("failed, nothing is known: {}", in_one_line(source)),
            None => format!("failed, nothing is known: {error}"),
        },
    };
    let identity = &entry.identity;
    writeln!(
        anstream::stdout().lock(),
        "Verifying runner... {outcome}  runner={} name={}",
        identity.token.short(),
        identity.name
    )
    .map_err(CliError::system("cannot print the answer"))
}
