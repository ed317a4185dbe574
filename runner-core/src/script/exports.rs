//! How a script gets the job's variables.

use super::body::Writer;
use crate::variables::is_shell_name;

/// Name of the file of `GITLAB_ENV` in the temporary folder.
const ENV_FILE: &str = "gitlab_runner_env";

/// Reads the file of `GITLAB_ENV` line by line. Blank lines and comments are skipped, a last line needs no line end, lines
/// whose name no shell accepts are told and skipped. All letters are listed because ranges depend on the locale; the try in a
/// sub-shell is there because setting a read-only variable ends some shells.
const READ_ENV_FILE: &str = r#"while IFS=' 	' read -r _runner_line || [ -n "$_runner_line" ]; do
  case "$_runner_line" in
    '' | '#'*) continue ;;
  esac
  case "${_runner_line%%=*}" in
    '' | [0123456789]* | *[!ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_]*)
      printf '\033[0;33m%s\033[0;m\n' "WARNING: GITLAB_ENV: ignored \"${_runner_line%%=*}\": not the name of a variable"
      continue ;;
  esac
  if (export "$_runner_line") 2> /dev/null; then
    export "$_runner_line"
  else
    printf '\033[0;33m%s\033[0;m\n' "WARNING: GITLAB_ENV: cannot set ${_runner_line%%=*}"
  fi
done < "$GITLAB_ENV"
unset _runner_line
"#;

impl Writer<'_> {
    /// Exports the job's variables, then what earlier stages left in the file of `GITLAB_ENV`.
    pub(super) fn variables(&mut self, files: bool) {
        let variables = self.variables.clone();
        let temp_dir = self.secrets.word(variables.temp_dir());
        self.line(&format!("[ -d {temp_dir} ] || mkdir -p {temp_dir}"));
        for variable in variables.resolved().into_iter().filter(|variable| is_shell_name(&variable.key)) {
            let key = &variable.key;
            let secret = self.secrets.covers(variable);
            match (variable.file, secret) {
                (false, true) => {
                    self.secrets.variable(key, variable.value());
                    continue;
                }
                (true, true) if files => self.secrets.file(&variables.file_path(key), variable.value()),
                (true, false) if files => {
                    let (content, path) =
                        (self.secrets.word(variable.value()), self.secrets.word(&variables.file_path(key)));
                    self.line(&format!("printf %s {content} > {path}"));
                }
                (false, false) | (true, _) => {}
            }
            let value = self.secrets.word(&variables.seen(variable));
            self.line(&format!("export {key}={value}"));
        }
        let path = self.secrets.word(&format!("{}/{ENV_FILE}", variables.temp_dir()));
        self.line(&format!("export GITLAB_ENV={path}"));
        self.line("[ -e \"$GITLAB_ENV\" ] || : > \"$GITLAB_ENV\"");
        self.text(READ_ENV_FILE);
    }
}
