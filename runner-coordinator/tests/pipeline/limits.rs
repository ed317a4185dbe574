//! The limits that make any text safe to compile, one by one: what is just allowed, and what is not. Those of the YAML reader
//! are tested beside it.

use runner_coordinator::pipeline::{Context, EvaluateError, compile};

use crate::support::{ROOT, config, errors, files, push, try_files};

const MIB: usize = 1024 * 1024;

/// A small job in a file of so many bytes.
fn of_length(bytes: usize) -> String {
    let job = "a: {script: x}\n#";
    format!("{job}{}", " ".repeat(bytes - job.len()))
}

#[test]
fn the_length_of_one_file() {
    assert!(try_files(&[(ROOT, &of_length(4 * MIB))]).is_ok());
    assert_eq!(errors(&of_length(4 * MIB + 1)), [".gitlab-ci.yml:1:1: The parsed YAML is too big"]);
}

#[test]
fn the_length_of_all_files_together() {
    let long = of_length(4 * MIB);
    let included = |times: usize| {
        let root = format!("include: [{}]\nb: {{script: x}}", vec!["l.yml"; times].join(", "));
        try_files(&[(ROOT, &root), ("l.yml", &long)]).err().unwrap_or_default()
    };
    assert_eq!(included(7), [""; 0]);
    assert!(included(8)[0].contains("The parsed YAML is too big"), "{:?}", included(8));
}

#[test]
fn includes_within_includes() {
    let chain = |length: usize| {
        let mut all = vec![(ROOT.to_owned(), "include: f1.yml\nx: {script: x}".to_owned())];
        for number in 1..length {
            all.push((format!("f{number}.yml"), format!("include: f{}.yml", number + 1)));
        }
        all.push((format!("f{length}.yml"), "a: {script: x}".to_owned()));
        let pairs: Vec<(&str, &str)> =
            all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        try_files(&pairs).err().unwrap_or_default()
    };
    assert_eq!(chain(49), [""; 0]);
    assert_eq!(chain(60).len(), 1);
}

#[test]
fn text_that_inputs_insert() {
    let inserted = |times: usize| {
        let uses = "    - $[[ inputs.x ]]\n".repeat(times);
        let file = format!("spec: {{inputs: {{x: {{}}}}}}\n---\na:\n  script: x\n  tags:\n{uses}");
        let root = format!("include: [{{local: l.yml, inputs: {{x: {}}}}}]", "y".repeat(500_000));
        try_files(&[(ROOT, &root), ("l.yml", &file)]).err().unwrap_or_default()
    };
    assert_eq!(inserted(16), [""; 0]);
    assert!(inserted(17)[0].contains("the inputs make the file too big"));
}

#[test]
fn the_number_of_jobs() {
    let jobs = |count: usize| -> String { (0..count).map(|number| format!("j{number}: *j\n")).collect() };
    let of = |count: usize| errors(&format!(".j: &j {{script: x}}\n{}", jobs(count)));
    assert!(
        of(10_001).iter().any(|error| error.ends_with("jobs config has too many jobs (maximum is 10000)"))
    );
    let text = format!(".j: &j {{script: x}}\n{}", jobs(10_000));
    assert_eq!(config(&text).jobs().count(), 10_000);
}

#[test]
fn the_size_of_a_regular_expression() {
    let text = |count: usize| format!("a: {{script: x, rules: [{{if: '$A =~ /(abc){{{count}}}x/'}}]}}");
    assert!(compile(ROOT, &files(&[(ROOT, &text(100))]), &Context::default()).is_ok());
    assert!(errors(&text(900_000))[0].contains("if invalid expression syntax"));
    // Nested repetitions multiply.
    let nested = "a: {script: x, only: ['/((((a{9}){9}){9}){9}){9}/']}";
    assert!(errors(nested)[0].contains("regular expressions using re2 syntax"));
}

#[test]
fn variables_of_all_jobs_after_expansion() {
    let mut text = format!("variables:\n  V0: {}\n", "x".repeat(100));
    for level in 1..5 {
        text.push_str(&format!("  V{level}: {}\n", format!("$V{}", level - 1).repeat(10)));
    }
    for number in 0..10 {
        text.push_str(&format!("  W{number}: $V4\n"));
    }
    text.push_str("a: {script: x, parallel: 20}\n");
    assert_eq!(config(&text).evaluate(&push()).unwrap().jobs.len(), 20);
    let text = text.replace("parallel: 20", "parallel: 40");
    let Err(EvaluateError::Invalid(errors)) = config(&text).evaluate(&push()) else {
        panic!("400 MiB are too much")
    };
    let error = errors.iter().next().unwrap();
    assert!(error.message.contains("the variables of all jobs together become too long"), "{error}");
}
