//! Commands of the user: shown, then run.

use super::body::Writer;
use crate::plan::UserCommand;

impl Writer<'_> {
    /// Shows a command and runs it.
    pub(super) fn user(&mut self, command: &UserCommand) {
        let text = if command.expand { self.variables.expand(&command.text) } else { command.text.clone() }
            .replace('\0', "");
        if text.is_empty() {
            self.line("printf '\\n'");
            self.line("");
            return;
        }
        self.show(command, &text);
        if self.secrets.contains_secret(&text) {
            let word = self.secrets.word(&text);
            self.line(&format!("eval {word}"));
        } else {
            self.line(&text);
        }
        self.check();
    }

    fn show(&mut self, command: &UserCommand, text: &str) {
        let Some((first, _)) = text.split_once('\n') else {
            return self.notice(&format!("$ {text}"));
        };
        if !self.sections {
            return self.notice(&format!("$ {} # collapsed multi-line command", first.trim_end()));
        }
        let name = format!("section_{}_{}", command.origin.as_str(), command.index);
        let word = self.secrets.word(&format!("$ {text}"));
        self.line(&format!(
            "printf 'section_start:%s:{name}[hide_duration=true,collapsed=true]\\r\\033[0K\
             \\033[32;1m%s\\033[0;m\\n' \"$(date +%s)\" {word}"
        ));
        self.line(&format!("printf 'section_end:%s:{name}\\r\\033[0K' \"$(date +%s)\""));
    }
}
