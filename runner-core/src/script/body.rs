//! [`Writer`]: operations as lines of a shell.

use runner_api::Job;

use super::git_config;
use super::secrets::Secrets;
use crate::plan::{Command, Condition, Op, Output, Secret, Style};
use crate::variables::Variables;

/// Removes configuration and hooks of the repositories whose `HEAD` files are given. Branches may have names like files of a
/// repository; a `HEAD` beside `objects` is a repository's own.
const CLEAN_MODULE: &str = r#"for head; do
  dir="${head%/*}"
  if [ -d "$dir/objects" ]; then rm -rf "$dir/config" "$dir/hooks"; fi
done"#;

/// Whether there is something under a path that is already a word. Shells test this themselves: most often there is nothing
/// to remove, and then no program has to be started to find out.
fn is_there(path: &str) -> String {
    format!("[ -e {path} ] || [ -L {path} ]")
}

/// Writes the body of a script.
pub(super) struct Writer<'a> {
    pub(super) job: &'a Job,
    pub(super) variables: Variables,
    pub(super) secrets: Secrets,
    /// Commands with several lines are shown in folded sections.
    pub(super) sections: bool,
    /// The exit code of every command is checked explicitly.
    pub(super) checks: bool,
    pub(super) out: String,
}

impl Writer<'_> {
    /// Writes operations one after the other.
    pub(super) fn ops(&mut self, ops: &[Op]) {
        for op in ops {
            self.op(op);
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Variables { files } => self.variables(*files),
            Op::Greeting { via } => self.greeting(via.as_deref()),
            Op::Print { style, text } => self.print(*style, text),
            Op::Export { key, value } => {
                let value = self.secrets.word(value);
                self.line(&format!("export {key}={value}"));
            }
            Op::ChangeDir(dir) => {
                let dir = self.secrets.word(dir);
                self.command_line(&format!("cd {dir}"));
            }
            Op::MakeDir(dir) => {
                let dir = self.secrets.word(dir);
                self.command_line(&format!("[ -d {dir} ] || mkdir -p {dir}"));
            }
            Op::RemoveFile(path) => {
                let path = self.secrets.word(path);
                self.command_line(&format!("if {}; then rm -f {path}; fi", is_there(&path)));
            }
            Op::RemoveTree(path) => self.remove_tree(path),
            Op::RemoveFilesBelow { dir, name } => self.remove_files_below(dir, name),
            Op::CleanModules(dir) => {
                let (dir, script) = (self.secrets.word(dir), super::quote(CLEAN_MODULE));
                self.command_line(&format!(
                    "if [ -d {dir} ]; then find {dir} -type f -name HEAD -exec sh -c {script} sh {{}} +; fi"
                ));
            }
            Op::WriteFile { path, text } => {
                let (path, text) = (self.secrets.word(path), self.secrets.word(text));
                self.command_line(&format!("printf %s {text} > {path}"));
            }
            Op::WriteGitConfig { path, entries } => {
                let text = git_config::text(entries, self.job);
                if git_config::is_secret(entries) {
                    self.secrets.file(path, &text);
                } else {
                    let (path, text) = (self.secrets.word(path), self.secrets.word(&text));
                    self.command_line(&format!("printf %s {text} > {path}"));
                }
            }
            Op::Run(command) => {
                let command = self.command(command);
                self.command_line(&command);
            }
            Op::User(command) => self.user(command),
            Op::If { condition, then, otherwise } => self.choose(condition, then, otherwise),
        }
    }

    fn choose(&mut self, condition: &Condition, then: &[Op], otherwise: &[Op]) {
        let condition = self.condition(condition);
        self.line(&format!("if {condition}; then"));
        self.line(":");
        self.ops(then);
        if !otherwise.is_empty() {
            self.line("else");
            self.ops(otherwise);
        }
        self.line("fi");
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Succeeds(command) => self.command(command),
            Condition::Prints(command, text) => {
                let (command, text) = (self.command(command), self.secrets.word(text));
                format!("[ \"$({command} 2> /dev/null)\" = {text} ]")
            }
            Condition::Holds(path, text) => {
                let (path, text) = (self.secrets.word(path), self.secrets.word(text));
                // `read` fails at the end of a line that has none.
                format!(
                    "{{ [ -f {path} ] && {{ read -r _runner_line || :; }} < {path} && [ \"$_runner_line\" = {text} ]; }}"
                )
            }
            Condition::All(conditions) => {
                let conditions: Vec<String> = conditions.iter().map(|one| self.condition(one)).collect();
                conditions.join(" && ")
            }
            Condition::IsDir(path) => format!("[ -d {} ]", self.secrets.word(path)),
            Condition::IsFile(path) => format!("[ -f {} ]", self.secrets.word(path)),
            Condition::IsProgram(program) if program.contains('/') => {
                format!("[ -x {} ]", self.secrets.word(program))
            }
            Condition::IsProgram(program) => {
                format!("command -v {} > /dev/null 2>&1", self.secrets.word(program))
            }
            Condition::IsGitCommand(name) => {
                let program = self.secrets.word(&format!("git-{name}"));
                format!(
                    "{{ command -v {program} > /dev/null 2>&1 || [ -x \"$(git --exec-path 2> /dev/null)\"/{program} ]; }}"
                )
            }
            // The answer is "git version MAJOR.MINOR…", split into words at blanks and dots.
            Condition::GitAtLeast(major, minor) => format!(
                "(IFS=' .'; set -- $(git version); \
                 [ \"$3\" -gt {major} ] || {{ [ \"$3\" -eq {major} ] && [ \"$4\" -ge {minor} ]; }}) 2> /dev/null"
            ),
        }
    }

    fn command(&mut self, command: &Command) -> String {
        let mut line = String::new();
        if let Some(input) = &command.input {
            line.push_str(&format!("printf %s {} | ", self.secrets.word(input)));
        }
        for (key, secret) in &command.env {
            let value = self.secret(secret);
            line.push_str(&format!("{key}=\"${}\" ", self.secrets.hide(&value)));
        }
        let words: Vec<String> = command.argv.iter().map(|word| self.secrets.word(word)).collect();
        line.push_str(&words.join(" "));
        if command.output == Output::Hidden {
            line.push_str(" > /dev/null 2>&1");
        }
        if command.may_fail {
            line.push_str(" || :");
        }
        line
    }

    fn secret(&self, secret: &Secret) -> String {
        match secret {
            Secret::JobToken => self.job.token.expose().to_owned(),
            Secret::DependencyToken(id) => {
                let dependency = self.job.dependencies.iter().find(|dependency| dependency.id == *id);
                dependency
                    .and_then(|job| job.token.as_ref())
                    .map(|token| token.expose().to_owned())
                    .unwrap_or_default()
            }
        }
    }

    fn greeting(&mut self, via: Option<&str>) {
        // Read by the shell itself where that is possible.
        self.line(
            "{ read -r _runner_host < /proc/sys/kernel/hostname; } 2> /dev/null || \
             _runner_host=\"$(hostname 2> /dev/null || uname -n)\"",
        );
        match via {
            Some(via) => {
                let via = self.secrets.word(via);
                self.line(&format!("printf 'Running on %s via %s...\\n' \"$_runner_host\" {via}"));
            }
            None => self.line("printf 'Running on %s...\\n' \"$_runner_host\""),
        }
    }

    fn print(&mut self, style: Style, text: &str) {
        let format = match style {
            Style::Plain => "%s\\n",
            Style::Notice => "\\033[32;1m%s\\033[0;m\\n",
            Style::Warning => "\\033[0;33m%s\\033[0;m\\n",
        };
        let text = self.secrets.word(text);
        self.line(&format!("printf '{format}' {text}"));
    }

    /// Prints a line in bold green.
    pub(super) fn notice(&mut self, text: &str) {
        self.print(Style::Notice, text);
    }

    /// What is not writable is made so, and what cannot be is told by `rm`. A link is removed, not followed.
    fn remove_tree(&mut self, path: &str) {
        let path = self.secrets.word(path);
        self.line(&format!("if {}; then", is_there(&path)));
        self.line(&format!("rm -rf {path} 2> /dev/null || {{"));
        self.line(&format!(
            "if [ -d {path} ] && [ ! -L {path} ]; then chmod -R u+rwX {path} 2> /dev/null || :; fi"
        ));
        self.line(&format!("rm -rf {path}"));
        self.command_line("}");
        self.line("fi");
    }

    /// Where the shell can look itself no program has to be started: most often there is nothing.
    fn remove_files_below(&mut self, dir: &str, name: &str) {
        let dir = self.secrets.word(dir);
        self.line(&format!("if [ -d {dir} ]; then"));
        self.line(
            "if [ -n \"${BASH_VERSION-}\" ] && ! shopt -q failglob && ! shopt -q globstar 2> /dev/null && \
             shopt -s globstar 2> /dev/null; then",
        );
        self.line(&format!("for _runner_file in {dir}/**/{name}; do"));
        self.line(
            "if [ -f \"$_runner_file\" ] && [ ! -L \"$_runner_file\" ]; then rm -f \"$_runner_file\"; fi",
        );
        self.line("done");
        self.line("shopt -u globstar");
        self.line("else");
        let name = super::quote(name);
        self.command_line(&format!("find {dir} -type f -name {name} -exec rm -f {{}} +"));
        self.line("fi");
        self.line("fi");
    }

    fn command_line(&mut self, text: &str) {
        self.line(text);
        self.check();
    }

    /// Ends the script if the command before failed, where asked for.
    pub(super) fn check(&mut self) {
        if self.checks {
            self.line(
                "_runner_exit_code=$?; if [ $_runner_exit_code -ne 0 ]; then exit $_runner_exit_code; fi",
            );
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    pub(super) fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }
}
