//! Includes of files that do not lie in the project.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::support::{Answer, Checkout, Surroundings, git};

/// Another project, with a tag `v1.2.0` and something newer on its branch.
fn templates(surroundings: &Surroundings) -> std::path::PathBuf {
    let folder = surroundings.path("templates");
    std::fs::create_dir_all(folder.join("templates")).unwrap();
    let git = |arguments: &[&str]| git(surroundings, &folder, arguments);
    git(&["init", "--quiet", "--initial-branch=main"]);
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("jobs.yml", "include: more.yml\nfrom-tag: {script: x}\n");
    write("more.yml", "more-from-tag: {script: x}\n");
    write(
        "templates/tool.yml",
        "spec: {component: [version]}\n---\n'tool $[[ component.version ]]': {script: x}\n",
    );
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "one"]);
    git(&["tag", "v1.2.0"]);
    write("jobs.yml", "include: more.yml\nfrom-tree: {script: x}\n");
    write("more.yml", "more-from-tree: {script: x}\n");
    folder
}

fn jobs(answer: Answer) -> String {
    let answer = answer.expect(0);
    let names: Vec<&str> =
        answer.out.lines().skip(1).map(|line| line.split("  ").next().unwrap_or_default()).collect();
    names.join(" ")
}

#[test]
fn a_checkout_stands_for_another_project() {
    let surroundings = Surroundings::new();
    templates(&surroundings);
    let checkout = Checkout::new(&surroundings, "include: {project: group/templates, file: jobs.yml}\n");
    let answer = checkout.exec(&["--list"]).expect(2);
    assert!(
        answer
            .err
            .contains(".gitlab-ci.yml:1:11: include:project group/templates, file jobs.yml: not available")
            && answer.err.contains("help: name a checkout of it with --project group/templates=DIR"),
        "{}",
        answer.err
    );
    let with = |pipeline: &str| {
        checkout.write(".gitlab-ci.yml", pipeline);
        checkout.exec(&["--list", "--project", "group/templates=../templates"])
    };
    assert_eq!(jobs(with("include: {project: group/templates, file: jobs.yml}")), "more-from-tree from-tree");
    assert_eq!(
        jobs(with("include: {project: group/templates, ref: v1.2.0, file: /jobs.yml}")),
        "more-from-tag from-tag"
    );
    assert_eq!(jobs(with("include: {component: $CI_SERVER_FQDN/group/templates/tool@1}")), "tool v1.2.0");
    assert_eq!(
        jobs(with("include: {component: $CI_SERVER_FQDN/group/templates/tool@~latest}")),
        "tool v1.2.0"
    );
    for (pipeline, text) in [
        (
            "include: {project: group/templates, ref: none, file: jobs.yml}",
            "has no branch, tag or commit none",
        ),
        ("include: {project: group/templates, file: none.yml}", "has no file none.yml"),
        ("include: {component: $CI_SERVER_FQDN/group/templates/tool@2}", "has no release 2"),
        (
            "include: {component: $CI_SERVER_FQDN/group/templates/none@1}",
            "has neither templates/none.yml nor",
        ),
    ] {
        let answer = with(pipeline).expect(2);
        assert!(answer.err.contains(text), "{}", answer.err);
    }
    let text = "a: {script: x, rules: [{exists: {paths: [more.yml], project: group/templates}}]}\nb: {script: x, rules: [{exists: {paths: [none], project: group/templates}}]}";
    let answer = with(text).expect(0);
    assert!(
        answer.out.contains("b    test   left out by rules") && !answer.out.contains("a    test   left"),
        "{}",
        answer.out
    );
}

#[test]
fn projects_beside_the_own_one_are_fetched_with_git_and_kept() {
    let surroundings = Surroundings::new();
    let folder = templates(&surroundings);
    let checkout =
        Checkout::new(&surroundings, "include: {project: group/templates, ref: v1.2.0, file: jobs.yml}\n");
    // A server of which only git knows where it is.
    let server = surroundings.path("server/group");
    std::fs::create_dir_all(&server).unwrap();
    let bare = server.join("templates.git");
    git(&surroundings, &folder, &["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
    checkout.git(&["remote", "add", "origin", "https://git.example.org/group/project.git"]);
    let config = format!(
        "[url \"file://{}/\"]\n  insteadOf = https://git.example.org/\n[protocol \"file\"]\n  allow = always\n",
        surroundings.path("server").display()
    );
    surroundings.write("home/.gitconfig", &config);
    let list = |flags: &[&str]| checkout.exec(&[&["--list"], flags].concat());
    let answer = list(&["--offline"]).expect(2);
    assert!(answer.err.contains("not fetched before, and --offline forbids it"), "{}", answer.err);
    assert_eq!(jobs(list(&[])), "more-from-tag from-tag");
    std::fs::remove_dir_all(&bare).unwrap();
    assert_eq!(jobs(list(&["--offline"])), "more-from-tag from-tag");
    let answer = list(&["--refresh-includes"]).expect(2);
    assert!(
        answer.err.contains("include:project group/templates, file jobs.yml, ref v1.2.0: git cannot fetch from https://git.example.org/group/templates.git: "),
        "{}",
        answer.err
    );
}

#[test]
fn templates_come_from_a_folder() {
    let surroundings = Surroundings::new();
    surroundings.write("given/Jobs/Build.gitlab-ci.yml", "build: {script: x}\n");
    let checkout =
        Checkout::new(&surroundings, "include: {template: Jobs/Build.gitlab-ci.yml}\na: {script: x}\n");
    let answer = checkout.exec(&["--list"]).expect(2);
    assert!(answer.err.contains("help: name a folder of templates with --templates DIR"), "{}", answer.err);
    assert_eq!(jobs(checkout.exec(&["--list", "--templates", "../given"])), "build a");
    let answer = checkout.exec(&["--list", "--templates", ".."]).expect(2);
    assert!(
        answer.err.contains("include:template Jobs/Build.gitlab-ci.yml: there is no such file in"),
        "{}",
        answer.err
    );
    assert_eq!(jobs(checkout.exec(&["--list", "--skip-missing-includes"])), "a");
}

/// Answers requests with these bodies, one after the other, and then is gone.
fn serve(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let handle = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
            asked.push(lines.next().unwrap().unwrap());
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            connection.write_all(answer.as_bytes()).unwrap();
        }
        asked
    });
    (url, handle)
}

#[test]
fn addresses_are_fetched_once() {
    let surroundings = Surroundings::new();
    let ok = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    let moved =
        "HTTP/1.1 302 Found\r\nLocation: /there.yml\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (url, server) =
        serve(vec![missing.to_owned(), moved.to_owned(), ok("one: {script: x}"), ok("two: {script: x}")]);
    let checkout = Checkout::new(&surroundings, &format!("include: {url}/here.yml\n"));
    let list = |flags: &[&str]| checkout.exec(&[&["--list"], flags].concat());
    let answer = list(&["--offline"]).expect(2);
    assert!(answer.err.contains("/here.yml: not fetched before, and --offline forbids it"), "{}", answer.err);
    let answer = list(&[]).expect(2);
    assert!(answer.err.contains("/here.yml: the server answered 404 Not Found"), "{}", answer.err);
    assert_eq!(jobs(list(&[])), "one");
    assert_eq!(jobs(list(&[])), "one");
    assert_eq!(jobs(list(&["--refresh-includes"])), "two");
    assert_eq!(jobs(list(&["--offline"])), "two");
    let asked = server.join().unwrap();
    let paths: Vec<&str> = asked.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(paths, ["/here.yml", "/here.yml", "/there.yml", "/here.yml"]);
}

#[test]
fn inputs_of_the_own_file() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "spec: {inputs: {stage: {options: [build, test]}, count: {type: number, default: 1}}}\n---\njob: {stage: '$[[ inputs.stage ]]', script: x, parallel: '$[[ inputs.count ]]'}\n",
    );
    let answer = checkout.exec(&["--list", "--input", "stage=build", "--input", "count=2"]).expect(0);
    assert!(answer.out.contains("job 1/2  build") && answer.out.contains("job 2/2"), "{}", answer.out);
    let answer = checkout.exec(&["--list"]).expect(2);
    assert!(answer.err.contains("`stage` input: required value has not been provided"), "{}", answer.err);
    let answer = checkout.exec(&["--list", "--input", "stage"]).expect(2);
    assert!(answer.err.contains("--input takes NAME=VALUE"), "{}", answer.err);
}
