//! Whole pipelines: the bytes choose among keywords and values, most of them valid, so that nearly every input reaches the rules
//! and the state machine. Files include each other, take inputs, extend, refer and multiply.
#![no_main]

mod world;

use std::fmt::Write as _;

use libfuzzer_sys::arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;

use world::{Files, ROOT};

const NAMES: [&str; 8] = ["a", "b", "c", "d", ".t", ".u", ".v", "e"];
const FILES: [&str; 4] = [ROOT, "a.yml", "b.yml", "c.yml"];

/// A choice of what comes next; without bytes left always the first.
struct Maker<'u>(Unstructured<'u>);

impl Maker<'_> {
    fn number(&mut self, most: usize) -> usize {
        self.0.int_in_range(0..=most).unwrap_or_default()
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.number(count - 1) == count - 1
    }

    fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts.get(self.number(texts.len() - 1)).copied().unwrap_or_default()
    }

    fn list(&mut self, most: usize, mut item: impl FnMut(&mut Self) -> String) -> String {
        let items: Vec<String> = (0..self.number(most)).map(|_| item(self)).collect();
        format!("[{}]", items.join(", "))
    }

    fn hash(&mut self, most: usize, mut item: impl FnMut(&mut Self) -> String) -> String {
        let items: Vec<String> = (0..self.number(most)).map(|_| item(self)).collect();
        format!("{{{}}}", items.join(", "))
    }

    fn name(&mut self) -> &'static str {
        self.of(&NAMES)
    }

    fn text(&mut self) -> String {
        self.of(&[
            "x",
            "$A",
            "'$A$B'",
            "'$B$B$B'",
            "1",
            "true",
            "''",
            "'$[[ inputs.x ]]'",
            "$CI_JOB_NAME",
            "'a b'",
            "~",
            "1.10",
            "'%A%'",
            "[]",
            "{}",
        ])
        .to_owned()
    }

    fn script(&mut self) -> String {
        match self.number(7) {
            0..=3 => "x".to_owned(),
            4 => self.list(4, |maker| {
                maker.of(&["x", "[y, [z]]", "!reference [.t, script]", "'a: b'"]).to_owned()
            }),
            5 => "!reference [.t, script]".to_owned(),
            6 => "[!reference [.u, script], [!reference [.t, before_script]]]".to_owned(),
            _ => self.text(),
        }
    }

    fn variables(&mut self) -> String {
        if self.one_in(8) {
            return "!reference [.v, variables]".to_owned();
        }
        self.hash(4, |maker| {
            let key = maker.of(&["A", "B", "C", "D", "GIT_DEPTH"]);
            let value = match maker.number(4) {
                0 => format!("{{value: {}, expand: false}}", maker.text()),
                1 => "$A-$B".to_owned(),
                _ => maker.text(),
            };
            format!("{key}: {value}")
        })
    }

    fn condition(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.number(3) {
            if !text.is_empty() {
                text.push_str(self.of(&[" && ", " || "]));
            }
            let value = |maker: &mut Self| {
                maker.of(&[
                    "$A",
                    "$B",
                    "$CI",
                    "\"x\"",
                    "null",
                    "$CI_JOB_NAME",
                    "/^x|y$/i",
                    "/(a*)*b/",
                    "$P",
                    "true",
                ])
            };
            let (left, right) = (value(self), value(self));
            match self.number(3) {
                0 => text.push_str(left),
                1 => {
                    let _ = write!(text, "({left})");
                }
                _ => {
                    let operator = self.of(&["==", "!=", "=~", "!~"]);
                    let _ = write!(text, "{left} {operator} {right}");
                }
            }
        }
        format!("'{text}'")
    }

    fn globs(&mut self) -> String {
        self.list(3, |maker| {
            maker
                .of(&[
                    "'**/*.rs'",
                    "'*'",
                    "src/a.rs",
                    "'{a,b}{c,d}*'",
                    "'[a-c]?'",
                    "'**/{x,**}/$A'",
                    "'src/**'",
                ])
                .to_owned()
        })
    }

    fn rules(&mut self) -> String {
        if self.one_in(8) {
            return self.of(&["!reference [.t, rules]", "[!reference [.u, rules]]", "[]"]).to_owned();
        }
        self.list(4, |maker| {
            maker.hash(3, |maker| match maker.number(8) {
                0..=2 => format!("if: {}", maker.condition()),
                3 => format!("changes: {}", maker.globs()),
                4 => format!("exists: {}", maker.globs()),
                5 => {
                    format!("when: {}", maker.of(&["always", "never", "manual", "on_failure", "on_success"]))
                }
                6 => format!("variables: {}", maker.variables()),
                7 => format!("needs: {}", maker.needs()),
                _ => format!("allow_failure: {}", maker.of(&["true", "false"])),
            })
        })
    }

    fn needs(&mut self) -> String {
        self.list(3, |maker| {
            let name = maker.name();
            match maker.number(4) {
                0 | 1 => name.to_owned(),
                2 | 3 => {
                    format!("{{job: {name}, optional: true, artifacts: {}}}", maker.of(&["true", "false"]))
                }
                _ => format!("{{job: {name}, parallel: {{matrix: [{}]}}}}", maker.axes()),
            }
        })
    }

    fn axes(&mut self) -> String {
        self.hash(3, |maker| {
            let key = maker.of(&["A", "B", "C"]);
            let values = maker.list(4, |maker| maker.of(&["x", "y", "1", "'$[[ matrix.A ]]'"]).to_owned());
            format!("{key}: {values}")
        })
    }

    fn parallel(&mut self) -> String {
        match self.number(4) {
            0 => "2".to_owned(),
            1 => self.of(&["200", "201", "0", "1"]).to_owned(),
            _ => format!("{{matrix: {}}}", self.list(3, Self::axes)),
        }
    }

    fn job(&mut self) -> String {
        let mut keys = vec![if self.one_in(6) {
            format!("trigger: {{include: {}, strategy: depend}}", self.of(&FILES))
        } else {
            format!("script: {}", self.script())
        }];
        for _ in 0..self.number(5) {
            keys.push(self.keyword());
        }
        if self.one_in(12) {
            keys.push("<<: *x".to_owned());
        }
        format!("{{{}}}", keys.join(", "))
    }

    fn keyword(&mut self) -> String {
        match self.number(19) {
            0 => format!("stage: {}", self.of(&["build", "test", "deploy", ".pre", ".post", "nowhere"])),
            1 | 2 => format!("extends: {}", self.list(2, |maker| maker.name().to_owned())),
            3 => format!("variables: {}", self.variables()),
            4 | 5 => format!("rules: {}", self.rules()),
            6 | 7 => format!("needs: {}", self.needs()),
            8 => format!("parallel: {}", self.parallel()),
            9 => format!("when: {}", self.of(&["always", "manual", "on_failure", "on_success"])),
            10 => format!("allow_failure: {}", self.of(&["true", "false", "{exit_codes: [1, 2]}"])),
            11 => format!(
                "retry: {}",
                self.of(&["1", "2", "{max: 2, when: [script_failure], exit_codes: 3}", "3"])
            ),
            12 => format!(
                "only: {}",
                self.list(3, |maker| {
                    maker
                        .of(&["main", "/^m.*n$/i", "tags", "branches", "pushes", "x@g/p", "/(((a+)+)+)$/"])
                        .to_owned()
                })
            ),
            13 => format!("except: {{variables: [{}], changes: {}}}", self.condition(), self.globs()),
            14 => format!("artifacts: {{paths: {}, reports: {{dotenv: x, junit: [y]}}}}", self.globs()),
            15 => format!(
                "cache: {{key: {{files: {}, prefix: $A}}, paths: [x], fallback_keys: [$B]}}",
                self.globs()
            ),
            16 => format!("environment: {{name: {}, url: '$A/$B'}}", self.text()),
            17 => format!("dependencies: {}", self.list(2, |maker| maker.name().to_owned())),
            18 => format!("resource_group: {}", self.of(&["$A", "g", "h"])),
            _ => self
                .of(&[
                    "coverage: '/(\\d+(?:\\.\\d+)?)%/'",
                    "when: delayed, start_in: 5 s",
                    "inherit: {variables: [A]}",
                    "timeout: 1h 30m",
                    "tags: [$A]",
                    "image: {name: '$A:$B', entrypoint: [x]}",
                    "services: [{name: $A, alias: b}]",
                    "hooks: {pre_get_sources_script: [x]}",
                    "id_tokens: {T: {aud: $A}}",
                    "release: {tag_name: $A, description: d}",
                    "unknown: 1",
                ])
                .to_owned(),
        }
    }

    fn file(&mut self, root: bool) -> String {
        let mut text = String::new();
        if !root && self.one_in(3) {
            text.push_str("spec: {inputs: {x: {default: x}, y: {type: number, default: 1}}}\n---\n");
        }
        if self.one_in(2) {
            let includes = self.list(3, |maker| {
                let file = maker.of(&FILES);
                match maker.number(3) {
                    0 | 1 => file.to_owned(),
                    2 => format!("{{local: {file}, inputs: {{x: {}}}}}", maker.text()),
                    _ => format!("{{local: {file}, rules: [{{if: {}}}]}}", maker.condition()),
                }
            });
            let _ = writeln!(text, "include: {includes}");
        }
        let _ = writeln!(text, ".x: &x {}", self.job());
        if self.one_in(3) {
            let _ = writeln!(text, "variables: {}", self.variables());
        }
        if self.one_in(4) {
            let _ = writeln!(text, "default: {{{}}}", self.keyword());
        }
        if self.one_in(6) {
            let _ = writeln!(text, "workflow: {{name: 'n $A', rules: {}}}", self.rules());
        }
        if self.one_in(8) {
            text.push_str("stages: [build, test, deploy]\n");
        }
        for _ in 0..=self.number(4) {
            let name = self.name();
            let _ = writeln!(text, "{name}: {}", self.job());
        }
        text
    }
}

fuzz_target!(|data: &[u8]| {
    let mut maker = Maker(Unstructured::new(data));
    let texts = FILES.map(|name| (name.to_owned(), maker.file(name == ROOT)));
    if std::env::var_os("SHOW_FILES").is_some() {
        texts.iter().for_each(|(name, text)| eprintln!("#file {name}\n{text}"));
    }
    let length = texts.iter().map(|(_, text)| text.len()).sum();
    let files = Files(texts.into_iter().collect());
    let Some(pipeline) = world::pipeline(&files, length, maker.one_in(2)) else { return };
    world::run(pipeline, &mut |most| maker.number(most));
});
