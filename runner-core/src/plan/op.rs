//! [`Op`]: one thing that a stage does, as data.

use serde::{Deserialize, Serialize};

/// One thing that a stage does. Serializable, and without secrets: those are named by [`Secret`] and [`UserInfo`], variables
/// by their place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Op {
    /// Exports the job's variables, then what earlier stages wrote into the file of `GITLAB_ENV`.
    Variables {
        /// Whether the files of file variables are written too.
        files: bool,
    },
    /// Prints `Running on HOST...`, where the name of the host is known only there.
    Greeting {
        /// Where the job runs as a person would say it.
        via: Option<String>,
    },
    /// Prints a line.
    Print {
        /// How it is shown.
        style: Style,
        /// The line, or several.
        text: String,
    },
    /// Sets a variable for the commands that follow and their children.
    Export {
        /// Name.
        key: String,
        /// Value.
        value: String,
    },
    /// Changes to a folder.
    ChangeDir(String),
    /// Makes a folder and its parents.
    MakeDir(String),
    /// Removes a file, if it is there.
    RemoveFile(String),
    /// Removes a folder with everything in it, if it is there; what is not writable is made so first.
    RemoveTree(String),
    /// Removes, below a folder that may not be there, every file whose name matches.
    RemoveFilesBelow {
        /// The folder.
        dir: String,
        /// A name of letters, digits, `.`, `-` and `_`, in which `*` stands for any text.
        name: String,
    },
    /// Removes configuration and hooks of every repository below a folder that may not be there.
    CleanModules(String),
    /// Writes a file.
    WriteFile {
        /// Its path.
        path: String,
        /// Its content.
        text: String,
    },
    /// Writes a git configuration that may hold credentials. Never part of a script's text.
    WriteGitConfig {
        /// Its path.
        path: String,
        /// Its content.
        entries: Vec<GitConfigEntry>,
    },
    /// Runs a program; the stage fails with its status.
    Run(Command),
    /// Shows and runs a command of the user.
    User(UserCommand),
    /// Chooses.
    If {
        /// What decides.
        condition: Condition,
        /// What happens if it holds.
        then: Vec<Op>,
        /// What happens if not.
        otherwise: Vec<Op>,
    },
}

impl Op {
    /// Prints a line as it is.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Op::Print { style: Style::Plain, text: text.into() }
    }

    /// Prints good news.
    pub(crate) fn notice(text: impl Into<String>) -> Self {
        Op::Print { style: Style::Notice, text: text.into() }
    }

    /// Prints something to know.
    pub(crate) fn warning(text: impl Into<String>) -> Self {
        Op::Print { style: Style::Warning, text: text.into() }
    }

    /// Does something if a condition holds.
    pub(crate) fn when(condition: Condition, then: Vec<Op>) -> Self {
        Op::If { condition, then, otherwise: Vec::new() }
    }
}

/// How a line is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// As it is.
    Plain,
    /// Bold green.
    Notice,
    /// Yellow.
    Warning,
}

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables for this program alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, Secret)>,
    /// Text for its input; nothing without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Where its output goes.
    #[serde(default, skip_serializing_if = "Output::is_shown")]
    pub output: Output,
    /// Whether its failure is ignored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_fail: bool,
}

impl Command {
    /// A program whose output is shown and whose failure counts.
    pub(crate) fn new<T: Into<String>>(argv: impl IntoIterator<Item = T>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            input: None,
            output: Output::Shown,
            may_fail: false,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.argv.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Hides what it prints.
    #[must_use]
    pub(crate) fn hidden(mut self) -> Self {
        self.output = Output::Hidden;
        self
    }
}

/// Where a program's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// To the log.
    #[default]
    Shown,
    /// Nowhere.
    Hidden,
}

impl Output {
    fn is_shown(&self) -> bool {
        *self == Output::Shown
    }
}

/// A command of the user, which may have several lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCommand {
    /// Where it comes from; part of the name of its section.
    pub origin: Origin,
    /// Its position there, from 0.
    pub index: usize,
    /// The command without surrounding white space.
    pub text: String,
    /// Whether references to variables are replaced by the runner before the shell sees them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expand: bool,
}

/// Where a user's command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Hooks before the sources are fetched.
    PreClone,
    /// Hooks after the sources were fetched.
    PostClone,
    /// The runner's script before each step.
    PreBuild,
    /// A step of the job.
    Step,
    /// The runner's script after each step.
    PostBuild,
    /// The job's after_script.
    AfterScript,
}

impl Origin {
    /// The word in the name of a section.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::PreClone => "pre_clone_script",
            Origin::PostClone => "post_clone_script",
            Origin::PreBuild => "pre_build_script",
            Origin::Step => "script_step",
            Origin::PostBuild => "post_build_script",
            Origin::AfterScript => "after_script_step",
        }
    }
}

/// What decides between two ways. No condition fails a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// A program succeeds.
    Succeeds(Command),
    /// A program prints exactly this, apart from line ends behind it; what it complains about is hidden.
    Prints(Command, String),
    /// The first line of a file is this.
    Holds(String, String),
    /// Everything of this holds; what comes after something that does not is not looked at.
    All(Vec<Condition>),
    /// There is such a folder.
    IsDir(String),
    /// There is such a file.
    IsFile(String),
    /// There is such a program: at this path, or by this name where programs are looked for. It is not started.
    IsProgram(String),
    /// Git has a command of this name that is a program of its own, beside git's or where programs are looked for.
    IsGitCommand(String),
    /// Git is at least of this version.
    GitAtLeast(u32, u32),
}

/// A secret that a command needs, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Secret {
    /// The job's token.
    JobToken,
    /// The token of a job this one depends on, by that job's id.
    DependencyToken(u64),
}

/// An entry of a git configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GitConfigEntry {
    /// `[section "subsection"] key = value`.
    Value {
        /// Section.
        section: String,
        /// Subsection; it may hold any character.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subsection: Option<String>,
        /// Key.
        key: String,
        /// Value.
        value: String,
    },
    /// `[url "SCHEME://USERINFO@REST"] insteadOf = instead_of`.
    Rewrite {
        /// Scheme with its slashes: `https://`.
        scheme: String,
        /// Who asks.
        user: UserInfo,
        /// What follows.
        rest: String,
        /// Beginning of the URLs that are replaced.
        instead_of: String,
    },
}

impl GitConfigEntry {
    /// An entry of a section without subsection.
    pub(crate) fn plain(section: &str, key: &str, value: impl Into<String>) -> Self {
        GitConfigEntry::Value {
            section: section.to_owned(),
            subsection: None,
            key: key.to_owned(),
            value: value.into(),
        }
    }

    /// An entry of a subsection.
    pub(crate) fn within(section: &str, subsection: &str, key: &str, value: impl Into<String>) -> Self {
        GitConfigEntry::Value {
            section: section.to_owned(),
            subsection: Some(subsection.to_owned()),
            key: key.to_owned(),
            value: value.into(),
        }
    }
}

/// Who asks for a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserInfo {
    /// Nobody in particular.
    None,
    /// `git`, as SSH wants it.
    Git,
    /// `gitlab-ci-token` with the job's token.
    JobToken,
    /// Whatever the repository's URL in the payload says.
    Repository,
}
