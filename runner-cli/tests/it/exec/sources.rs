//! What jobs see of the checkout, and that the checkout stays as it is.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Answer, Checkout, Surroundings, git};

/// Lists what the job has: mode, kind and name of each file, and the content of `text`.
const LOOK: &str = r#"
look:
  script:
    - find . -path ./.git -prune -o ! -type d -printf 'seen %y %m %p %l\n' | sed 's/ *$//' | sort
    - cat text || true
    - 'echo "commit $CI_COMMIT_SHA before $CI_COMMIT_BEFORE_SHA"'
    - 'echo "message $CI_COMMIT_MESSAGE"'
    - 'echo "ref $CI_COMMIT_REF_NAME branch ${CI_COMMIT_BRANCH:-none} tag ${CI_COMMIT_TAG:-none}"'
    - 'echo "depth $(git rev-list --count HEAD) head $(git rev-parse HEAD)"'
"#;

/// The lines that the job printed after `seen`.
fn seen(answer: &Answer) -> Vec<String> {
    let lines = answer.out.lines().filter_map(|line| line.strip_prefix("look | seen "));
    lines.map(str::to_owned).filter(|line| !line.contains(".gitlab-ci.yml")).collect()
}

#[test]
fn jobs_see_the_environment_of_their_user_whatever_the_profile_says() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, "a: {script: ['echo \"tool ${TOOL-none}\"']}");
    surroundings.write("home/.profile", "export TOOL=profile");
    let answer = Answer::of(checkout.exec_command(&[]).env("TOOL", "activated")).expect(0);
    assert!(answer.out.contains("a | tool activated\n"), "{}", answer.out);
}

#[test]
fn the_folder_of_a_job_is_called_like_its_project() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "a: {script: ['echo \"in ${CI_PROJECT_DIR#\"$CI_BUILDS_DIR\"/*/*/}\"']}",
    );
    checkout.git(&["remote", "add", "origin", "https://gitlab.example.org/group/sub/tool.git"]);
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("a | in group/sub/tool\n"), "{}", answer.out);
}

#[test]
fn the_tree_as_it_is() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    checkout.write(".gitignore", "ignored\n*.log\n");
    checkout.write("text", "committed\n");
    checkout.write("staged", "");
    checkout.write("deleted", "");
    checkout.write("tool.sh", "#!/bin/sh\n");
    checkout.write("was-file", "");
    checkout.write("was-folder/inside", "");
    std::os::unix::fs::symlink("text", checkout.root.join("link")).unwrap();
    checkout.commit("the message");

    checkout.write("text", "changed\n");
    checkout.write("staged", "in the index\n");
    checkout.git(&["add", "staged"]);
    std::fs::remove_file(checkout.root.join("deleted")).unwrap();
    std::fs::set_permissions(checkout.root.join("tool.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_file(checkout.root.join("was-file")).unwrap();
    checkout.write("was-file/inside", "");
    std::fs::remove_dir_all(checkout.root.join("was-folder")).unwrap();
    checkout.write("was-folder", "");
    checkout.write("new file", "");
    checkout.write("ignored", "");
    checkout.write("build.log", "");
    let (before, status) = (checkout.fingerprint(), checkout.git(&["status", "--porcelain"]));
    let answer = checkout.exec(&[]).expect(0);
    assert_eq!(
        seen(&answer),
        [
            "f 644 ./.gitignore",
            "f 644 ./new file",
            "f 644 ./staged",
            "f 644 ./text",
            "f 644 ./was-file/inside",
            "f 644 ./was-folder",
            "f 755 ./tool.sh",
            "l 777 ./link text",
        ]
    );
    assert!(answer.out.contains("look | changed\n"), "{}", answer.out);
    assert!(answer.out.contains("look | message the message\n"), "{}", answer.out);
    assert!(answer.out.contains("note: uncommitted changes are part of the run"), "{}", answer.out);
    let head = checkout.git(&["rev-parse", "HEAD"]);
    assert!(
        !answer.out.contains(&format!("commit {head}")) && answer.out.contains(&format!("before {head}")),
        "{}",
        answer.out
    );
    assert_eq!(checkout.git(&["status", "--porcelain"]), status);
    // `git status` above may refresh the index; everything before it did not.
    let changed: Vec<String> = checkout
        .fingerprint()
        .into_iter()
        .filter(|line| !before.contains(line) && !line.contains(".git/index"))
        .collect();
    assert_eq!(changed, Vec::<String>::new());

    let answer = checkout.exec(&["--committed"]).expect(0);
    assert!(
        answer.out.contains("look | committed\n") && answer.out.contains(&format!("commit {head}")),
        "{}",
        answer.out
    );
    assert!(!answer.out.contains("note: uncommitted"), "{}", answer.out);
}

#[test]
fn nothing_is_written_to_the_repository() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    checkout.write("new", "");
    let before = checkout.fingerprint();
    checkout.exec(&[]).expect(0);
    assert_eq!(checkout.fingerprint(), before);
}

#[test]
fn the_same_tree_is_the_same_commit() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    let commit = || {
        let answer = checkout.exec(&[]).expect(0);
        let (_, rest) = answer.out.split_once("look | commit ").unwrap();
        rest[..40].to_owned()
    };
    assert_eq!(commit(), checkout.git(&["rev-parse", "HEAD"]));
    checkout.write("new", "");
    let dirty = commit();
    assert_eq!(commit(), dirty);
    checkout.write("new", "more");
    assert_ne!(commit(), dirty);
}

#[test]
fn a_linked_worktree_and_a_detached_tag() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    checkout.git(&["tag", "-a", "v1", "-m", "about v1"]);
    checkout.commit("second");
    let linked = surroundings.path("linked");
    checkout.git(&["worktree", "add", "--quiet", "--detach", linked.to_str().unwrap(), "v1"]);
    std::fs::write(linked.join("text"), "in the worktree\n").unwrap();
    let answer = Answer::of(checkout.exec_command(&[]).current_dir(&linked)).expect(0);
    assert!(answer.out.contains("look | in the worktree\n"), "{}", answer.out);
    assert!(answer.out.contains("look | ref v1 branch none tag v1\n"), "{}", answer.out);
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("look | ref main branch main tag none\n"), "{}", answer.out);
    assert!(answer.out.contains("look | depth 2 "), "{}", answer.out);
}

#[test]
fn a_shallow_clone() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    checkout.commit("second");
    checkout.commit("third");
    let (clone, url) = (surroundings.path("clone"), format!("file://{}", checkout.root.display()));
    git(
        &surroundings,
        surroundings.folder.path(),
        &["clone", "--quiet", "--depth=1", &url, clone.to_str().unwrap()],
    );
    std::fs::write(clone.join("text"), "shallow\n").unwrap();
    let answer = Answer::of(checkout.exec_command(&[]).current_dir(&clone)).expect(0);
    assert!(answer.out.contains("look | shallow\n"), "{}", answer.out);
    assert!(answer.out.contains("look | depth 2 "), "{}", answer.out);
}

#[test]
fn a_partial_clone() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    checkout.git(&["config", "uploadpack.allowFilter", "true"]);
    checkout.write("text", "old\n");
    checkout.commit("second");
    checkout.write("text", "new\n");
    checkout.commit("third");
    let (clone, url) = (surroundings.path("clone"), format!("file://{}", checkout.root.display()));
    let arguments = ["clone", "--quiet", "--filter=blob:none", &url, clone.to_str().unwrap()];
    git(&surroundings, surroundings.folder.path(), &arguments);
    let answer = Answer::of(checkout.exec_command(&[]).current_dir(&clone)).expect(0);
    assert!(answer.out.contains("look | new\n"), "{}", answer.out);
}

#[test]
fn a_sparse_checkout() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    checkout.write("in/file", "");
    checkout.write("out/file", "");
    checkout.commit("second");
    checkout.git(&["sparse-checkout", "set", "in"]);
    assert!(!checkout.root.join("out").exists());
    checkout.write("in/new", "");
    checkout.write("text", "");
    let answer = checkout.exec(&[]).expect(0);
    assert_eq!(seen(&answer), ["f 644 ./in/file", "f 644 ./in/new", "f 644 ./out/file", "f 644 ./text"]);
}

#[test]
fn submodules_and_repositories_inside() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    let library = surroundings.path("library");
    std::fs::create_dir(&library).unwrap();
    git(&surroundings, &library, &["init", "--quiet"]);
    git(&surroundings, &library, &["commit", "--quiet", "--allow-empty", "--message", "library"]);
    checkout.git(&["submodule", "--quiet", "add", library.to_str().unwrap(), "library"]);
    checkout.commit("second");
    let nested = checkout.root.join("nested");
    std::fs::create_dir(&nested).unwrap();
    git(&surroundings, &nested, &["init", "--quiet"]);
    checkout.write("text", "with submodules\n");
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("look | with submodules\n"), "{}", answer.out);
    assert!(answer.out.contains("note: left out, repositories of their own: nested/"), "{}", answer.out);
}

/// At GitLab a relative address of a submodule leads to a project beside this one.
#[test]
fn relative_submodules() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "look: {variables: {GIT_SUBMODULE_STRATEGY: recursive}, script: ['cat library/file', 'git -C library status --short']}\n",
    );
    let library = surroundings.path("library");
    std::fs::create_dir(&library).unwrap();
    git(&surroundings, &library, &["init", "--quiet"]);
    surroundings.write("library/file", "of the library\n");
    git(&surroundings, &library, &["add", "--all"]);
    git(&surroundings, &library, &["commit", "--quiet", "--message", "library"]);
    checkout.git(&["submodule", "--quiet", "add", "../library", "library"]);
    checkout.commit("second");
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("look | of the library\n"), "{}", answer.out);
    // With a remote, beside that.
    let elsewhere = surroundings.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(&library, elsewhere.join("library")).unwrap();
    checkout.git(&["remote", "add", "origin", &format!("file://{}/project.git", elsewhere.display())]);
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("look | of the library\n"), "{}", answer.out);
}

#[test]
fn no_working_tree() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    for arguments in [&["--list"][..], &[]] {
        let answer =
            Answer::of(checkout.exec_command(arguments).current_dir(checkout.root.join(".git"))).expect(2);
        assert!(answer.err.contains(".git is a bare repository; run this in a checkout"), "{}", answer.err);
    }
}

#[test]
fn no_repository() {
    let surroundings = Surroundings::new();
    surroundings.write("folder/.gitlab-ci.yml", "a: {script: x}\n");
    let mut command = surroundings.command();
    command.args(["exec", "--state-dir", "state"]).current_dir(surroundings.path("folder"));
    let answer = Answer::of(&mut command).expect(2);
    assert!(answer.err.contains("is not inside a git repository"), "{}", answer.err);
    assert!(answer.err.contains("hint: run `git init"), "{}", answer.err);
}

#[test]
fn variables_of_a_git_hook_do_not_mislead() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(&surroundings, LOOK);
    checkout.write("text", "hooked\n");
    let mut command = checkout.exec_command(&[]);
    command
        .env("GIT_DIR", checkout.root.join(".git"))
        .env("GIT_INDEX_FILE", checkout.root.join(".git/index"));
    let answer = Answer::of(&mut command).expect(0);
    assert!(answer.out.contains("look | hooked\n"), "{}", answer.out);
}

#[test]
fn rules_compare_with_the_commit_before() {
    let surroundings = Surroundings::new();
    let checkout = Checkout::new(
        &surroundings,
        "docs: {script: echo docs, rules: [{changes: [docs/*]}]}\ncode: {script: echo code, rules: [{changes: [src/*]}]}\n",
    );
    checkout.write("docs/a.md", "");
    checkout.commit("second");
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("docs | docs\n") && !answer.out.contains("code | code\n"), "{}", answer.out);
    assert!(
        answer.out.contains("note: changes are compared with ") && answer.out.contains("(commit before)"),
        "{}",
        answer.out
    );
    checkout.write("src/a.rs", "");
    let answer = checkout.exec(&[]).expect(0);
    assert!(answer.out.contains("code | code\n"), "{}", answer.out);
}
