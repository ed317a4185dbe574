//! The jobs of a run, made up from its seed.

use fastrand::Rng;

use crate::params::Params;
use crate::program::{Act, Program};

/// A job: what it does and how it truly ends.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// Its place among the jobs of the run.
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    /// Whether its trace has timestamps.
    pub(crate) stamped: bool,
    /// Values of masked variables.
    pub(crate) secrets: Vec<String>,
    pub(crate) program: Program,
    /// Lines of the script after the one that runs the program.
    pub(crate) more: Vec<String>,
    pub(crate) after_script: bool,
    pub(crate) artifact: Option<Artifact>,
    /// The earlier job whose artifact it downloads.
    pub(crate) needs: Option<usize>,
    pub(crate) sources: Sources,
    /// What the server does to it while it runs.
    pub(crate) server: Option<Deed>,
    pub(crate) end: End,
}

/// What is uploaded, under the name that [`Spec::artifact_name`] gives.
#[derive(Debug, Clone)]
pub(crate) struct Artifact {
    pub(crate) when: &'static str,
    pub(crate) content: Vec<u8>,
}

/// Where the project folder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sources {
    None,
    Empty,
    Git,
}

/// What the server does as soon as it has read [`MARK`] in the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Cancel,
    CancelAtOnce,
    Fail,
}

/// How a job ends if nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    Exit(i32),
    Signal(i32),
    Timeout,
    /// Its artifact is larger than the server allows.
    TooLarge,
    /// By [`Spec::server`].
    Server,
}

/// A job that waits for the server prints this line.
pub(crate) const MARK: &str = "the server may act now\n";

/// Largest artifact that the server takes.
pub(crate) const ARTIFACT_LIMIT: u64 = 3 * MIB as u64;

const MIB: usize = 1024 * 1024;

macro_rules! kinds {
    ($($kind:ident $weight:literal,)*) => {
        /// What is special about a job.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind { $($kind,)* }

        /// All kinds and how often they come.
        const KINDS: &[(Kind, u32)] = &[$((Kind::$kind, $weight),)*];
    };
}

kinds! {
    Silent 8, Words 10, Chatty 8, Writes 5, Secrets 10, Lines 6, Tokens 4, Invalid 6, Unended 5, Errors 5, Exit 8, Signal 4,
    After 5, Upload 14, LargeUpload 3, UploadOnFailure 4, TooLarge 2, Download 14, Timeout 3, Cancel 3, SilentCancel 1,
    CancelAtOnce 3, ServerFails 2, Background 5, Git 3,
}

/// All jobs of a run. Each kind is there, if there is room for it.
pub(crate) fn make(params: &Params) -> Vec<Spec> {
    let mut rng = Rng::with_seed(params.seed);
    // Until a silent job hears of a cancel takes longer than a short run should.
    let own = |kind: &Kind| *kind != Kind::SilentCancel || !params.is_short();
    let total: u32 = KINDS.iter().map(|(_, weight)| weight).sum();
    let mut kinds: Vec<Kind> = KINDS.iter().map(|(kind, _)| *kind).filter(own).take(params.jobs).collect();
    while kinds.len() < params.jobs {
        let mut drawn = rng.u32(..total);
        let kind = KINDS.iter().find(|(_, weight)| match drawn.checked_sub(*weight) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        kinds.extend(kind.map(|(kind, _)| *kind).filter(own));
    }
    rng.shuffle(&mut kinds);
    let mut specs: Vec<Spec> = Vec::new();
    for (number, mut kind) in kinds.into_iter().enumerate() {
        let makers: Vec<usize> =
            specs.iter().filter(|spec| spec.has_stored_artifact()).map(|spec| spec.number).collect();
        if kind == Kind::Download && makers.is_empty() {
            kind = Kind::Upload;
        }
        let needs = (kind == Kind::Download).then(|| makers[rng.usize(..makers.len())]);
        let maker = needs.map(|number| specs[number].clone());
        specs.push(Spec::new(number, kind, maker.as_ref(), &mut rng));
    }
    specs
}

impl Spec {
    fn new(number: usize, kind: Kind, maker: Option<&Spec>, rng: &mut Rng) -> Self {
        let mut spec = Self {
            kind,
            stamped: rng.bool(),
            after_script: rng.u8(..4) == 0,
            needs: maker.map(|maker| maker.number),
            sources: if rng.bool() { Sources::None } else { Sources::Empty },
            ..Self::plain(number, Program::default())
        };
        let words = format!("job {number} says {:016x}\n", rng.u64(..));
        spec.program =
            match kind {
                Kind::Silent => Program::default().then(Act::Pause(rng.u64(..500))),
                Kind::Words | Kind::After | Kind::Git => Program::default().out(&words),
                Kind::Chatty => Program::default()
                    .then(Act::File(format!("{number}.txt"), lines(rng, number, MIB, 3 * MIB))),
                Kind::Writes => Program::default()
                    .then(Act::Lines(format!("{number}.txt"), lines(rng, number, 2000, 40_000))),
                Kind::Secrets | Kind::Lines | Kind::Tokens => spec.secrets(rng),
                Kind::Invalid => in_pieces(invalid(rng), rng),
                Kind::Unended => in_pieces(words.trim_end().into(), rng),
                Kind::Errors => Program::default().then(Act::Err(lines(rng, number, 100, 2000))),
                Kind::Exit | Kind::UploadOnFailure => {
                    let code = rng.i32(1..=255);
                    spec.end = End::Exit(code);
                    Program { exit: Some(code), ..Program::default().out(&words) }
                }
                Kind::Signal => {
                    spec.end = End::Signal(9);
                    spec.more = vec!["kill -KILL $$".to_owned()];
                    Program::default().out(&words)
                }
                Kind::Background => {
                    let silent = ["", " > /dev/null 2>&1"][rng.usize(..2)];
                    Program::default().then(Act::Do(format!("(exec sleep 1000){silent} &"))).out(&words)
                }
                Kind::Upload | Kind::LargeUpload | Kind::TooLarge => Program::default().out(&words),
                Kind::Download => spec.download(maker),
                Kind::Timeout => {
                    spec.end = End::Timeout;
                    Program::default().out(&words).then(Act::Do("exec sleep 1000".to_owned()))
                }
                Kind::SilentCancel => {
                    Program::default().out(&words).out(MARK).then(Act::Do("exec sleep 1000".to_owned()))
                }
                Kind::Cancel | Kind::CancelAtOnce | Kind::ServerFails => {
                    Program::default().out(&words).out(MARK).then(Act::Ticks)
                }
            };
        spec.special(rng);
        spec
    }

    /// What is special about some kinds besides their program.
    fn special(&mut self, rng: &mut Rng) {
        match self.kind {
            Kind::After => self.after_script = true,
            // Which of two streams was read first cannot be seen in a trace without stamps.
            Kind::Errors => self.stamped = true,
            Kind::Git => self.sources = Sources::Git,
            Kind::Upload => self.uploads("on_success", rng, 1..200_000),
            Kind::LargeUpload => self.uploads("always", rng, MIB..5 * MIB / 2),
            Kind::UploadOnFailure => self.uploads("on_failure", rng, 1..50_000),
            Kind::TooLarge => {
                self.end = End::TooLarge;
                self.uploads("on_success", rng, 7 * MIB / 2..4 * MIB);
            }
            Kind::Cancel | Kind::SilentCancel => {
                (self.server, self.end) = (Some(Deed::Cancel), End::Server);
            }
            Kind::CancelAtOnce | Kind::ServerFails => {
                let deed = if self.kind == Kind::ServerFails { Deed::Fail } else { Deed::CancelAtOnce };
                (self.server, self.end) = (Some(deed), End::Server);
                // Its trace is cut anywhere, also within a header.
                self.stamped = false;
            }
            _ => {}
        }
    }

    /// A job without anything special.
    pub(crate) fn plain(number: usize, program: Program) -> Self {
        Self {
            number,
            kind: Kind::Words,
            stamped: false,
            secrets: Vec::new(),
            program,
            more: Vec::new(),
            after_script: false,
            artifact: None,
            needs: None,
            sources: Sources::None,
            server: None,
            end: End::Success,
        }
    }

    /// Whether its downloads are redirected to the object storage: by default they are.
    pub(crate) fn downloads_directly(&self) -> bool {
        self.needs.is_none() || self.number.is_multiple_of(2)
    }

    /// The file that it uploads.
    pub(crate) fn artifact_name(&self) -> String {
        format!("made-by-{}.bin", self.number)
    }

    /// Whether its artifact is there when it has ended.
    pub(crate) fn has_stored_artifact(&self) -> bool {
        self.artifact.is_some() && self.end != End::TooLarge
    }

    fn uploads(&mut self, when: &'static str, rng: &mut Rng, sizes: std::ops::Range<usize>) {
        let size = rng.usize(sizes);
        let content = std::iter::repeat_with(|| rng.u8(..)).take(size).collect();
        self.artifact = Some(Artifact { when, content });
        let name = self.artifact_name();
        self.program.acts.insert(0, Act::Do(format!("cp \"$FILES/{name}\" .")));
    }

    fn download(&self, maker: Option<&Spec>) -> Program {
        let name = maker.map(Spec::artifact_name).unwrap_or_default();
        Program::default()
            .then(Act::Do(format!("cmp \"$FILES/{name}\" \"{name}\" || exit 99")))
            .out(format!("{name} is what it was\n"))
    }

    /// Text with values that must not be seen, cut anywhere.
    fn secrets(&mut self, rng: &mut Rng) -> Program {
        let hex = |rng: &mut Rng| format!("{:016x}", rng.u64(..));
        self.secrets = match self.kind {
            Kind::Secrets => {
                let short = format!("aab-{}", hex(rng));
                // One begins like the other.
                vec![format!("{short}-and-more"), short, format!("zz{}", hex(rng))]
            }
            Kind::Lines => vec![format!("first {}\nsecond {}\n\nthird", hex(rng), hex(rng))],
            _ => Vec::new(),
        };
        let mut text = String::new();
        for _ in 0..rng.usize(2..9) {
            text.push_str(["a", "aa", " ", "\n", "first ", "z", "", "-"][rng.usize(..8)]);
            match self.secrets.len() {
                0 => text.push_str(&format!("glpat-{} ", hex(rng))),
                count => text.push_str(&self.secrets[rng.usize(..count)]),
            }
            if rng.bool() {
                text.push_str(&format!(" {}\n", rng.u16(..)));
            }
        }
        in_pieces(text.into_bytes(), rng)
    }
}

/// Prints bytes with several writes, some of them apart in time.
fn in_pieces(mut bytes: Vec<u8>, rng: &mut Rng) -> Program {
    let mut program = Program::default();
    while !bytes.is_empty() {
        let rest = bytes.split_off(rng.usize(1..=bytes.len().min(40)));
        program = program.out(&bytes);
        if rng.u8(..3) == 0 {
            program = program.then(Act::Pause(rng.u64(1..20)));
        }
        bytes = rest;
    }
    program
}

/// So many bytes in lines of which no two are alike.
fn lines(rng: &mut Rng, number: usize, least: usize, most: usize) -> Vec<u8> {
    let size = rng.usize(least..most);
    let mut text = String::new();
    let mut line = 0;
    while text.len() < size {
        line += 1;
        text.push_str(&format!("{number}:{line}:{:016x}{:016x}\n", rng.u64(..), rng.u64(..)));
    }
    text.into_bytes()
}

fn invalid(rng: &mut Rng) -> Vec<u8> {
    let pieces: [&[u8]; 10] = [
        b"plain ",
        b"\xff",
        b"\xe2\x82",
        "\u{20ac}".as_bytes(),
        b"\xf0\x9f",
        "\u{1f600}".as_bytes(),
        b"\xc3",
        b"\n",
        b"\x80\x80",
        b"\xed\xa0\x80",
    ];
    std::iter::repeat_with(|| pieces[rng.usize(..pieces.len())].to_vec()).take(60).flatten().collect()
}
