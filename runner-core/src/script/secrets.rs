//! [`Secrets`]: what travels beside a script.

use secrecy::{ExposeSecret, SecretString};

use super::quote;
use crate::executor::SecretVariable;
use crate::variables::Variable;

/// Shorter texts are too common to be worth hiding: GitLab masks nothing below eight characters.
const SHORTEST: usize = 4;

/// Collects what travels beside a script, and keeps it out of the text.
pub(super) struct Secrets {
    texts: Vec<SecretString>,
    collected: Vec<SecretVariable>,
    numbered: usize,
}

impl Secrets {
    /// Nothing yet. `texts` must not appear in the script.
    pub(super) fn new(texts: Vec<SecretString>) -> Self {
        let texts = texts.into_iter().filter(|text| text.expose_secret().trim().len() >= SHORTEST).collect();
        Self { texts, collected: Vec::new(), numbered: 0 }
    }

    /// A text as one word of the script: quoted, or if it contains a secret by way of the environment.
    pub(super) fn word(&mut self, text: &str) -> String {
        if self.contains_secret(text) { format!("\"${}\"", self.hide(text)) } else { quote(text) }
    }

    /// Sends a text beside the script; the answer is the variable it arrives in.
    pub(super) fn hide(&mut self, text: &str) -> String {
        let text = without_nul(text);
        let known = self.collected.iter().find(|entry| {
            entry.file.is_none() && entry.key.starts_with(PREFIX) && entry.value.expose_secret() == text
        });
        if let Some(entry) = known {
            return entry.key.clone();
        }
        let key = self.next_key();
        self.collected.push(SecretVariable { key: key.clone(), value: SecretString::from(text), file: None });
        key
    }

    /// Sets a variable of the job for the stage's shell.
    pub(super) fn variable(&mut self, key: &str, value: &str) {
        let value = SecretString::from(without_nul(value));
        self.collected.push(SecretVariable { key: key.to_owned(), value, file: None });
    }

    /// Puts a text into a file before the script begins.
    pub(super) fn file(&mut self, path: &str, text: &str) {
        let key = self.next_key();
        let value = SecretString::from(text.to_owned());
        self.collected.push(SecretVariable { key, value, file: Some(path.to_owned()) });
    }

    /// Whether a variable of the job has to travel beside the script.
    pub(super) fn covers(&self, variable: &Variable) -> bool {
        variable.masked || !variable.public || self.contains_secret(variable.value())
    }

    pub(super) fn contains_secret(&self, text: &str) -> bool {
        self.texts.iter().any(|secret| text.contains(secret.expose_secret().trim()))
    }

    pub(super) fn into_variables(self) -> Vec<SecretVariable> {
        self.collected
    }

    fn next_key(&mut self) -> String {
        self.numbered += 1;
        format!("{PREFIX}{}", self.numbered)
    }
}

/// Begins the names of variables that are not the job's.
const PREFIX: &str = "_RUNNER_SECRET_";

fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}
