//! Panics in one job's task stay there.

use runner_coordinator::core::JobState;

use crate::support::{Act, Fake, Payload, Rig};

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_job_and_nothing_else() {
    for call in [
        "environment",
        "prepare 1",
        "start step_script",
        "follow step_script from 0",
        "terminate step_script",
        "cleanup JobEnded",
        "release",
    ] {
        let rig = Rig::in_process();
        let act = if call.starts_with("terminate") { Act::held() } else { Act::exit(0) };
        let fake = Fake::new().on("step_script", act);
        let running = rig.start(fake.clone());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let fake = fake.panics_at(call);
        let job = rig.gitlab.enqueue(Payload::new(["true"]).timeout(60).after_script(["true"]));
        rig.gitlab.finished(job).await;
        let kept = matches!(call, "cleanup JobEnded" | "release");
        let expected =
            if kept { (JobState::Success, None) } else { (JobState::Failed, Some("runner_system_failure")) };
        let state = rig.gitlab.state(job);
        let end = rig.gitlab.end(job);
        assert_eq!((state, end.1.as_deref()), expected, "{call}");
        if !kept {
            let trace = rig.gitlab.trace(job);
            assert!(trace.contains(&format!("panic at {call}")), "{call}: {trace}");
        }
        if call != "environment" {
            assert!(fake.calls().contains(&"cleanup JobEnded".to_owned()), "{call}");
        }

        // Place and numbers are free again, and the next job runs.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(running.handle.jobs(), [], "{call}");
        let payload = Payload::new(["true"]).timeout(60);
        let next = rig.gitlab.enqueue(payload);
        rig.gitlab.finished(next).await;
        assert!(
            fake.script("step_script").contains("CI_CONCURRENT_ID=0")
                || fake.script("step_script").contains("CI_CONCURRENT_ID='0'"),
            "{call}"
        );
        running.drain().await;
        assert_eq!(fake.calls_of(&["acquire"]).len(), fake.calls_of(&["release"]).len(), "{call}");
        rig.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_room_is_looked_for_does_not_end_the_manager() {
    for call in ["acquire", "capacity"] {
        let rig = Rig::in_process();
        let fake = Fake::new().panics_at(call);
        let running = rig.start(fake.clone());
        let job = rig.gitlab.enqueue(Payload::new(["true"]));
        assert_eq!(rig.gitlab.finished(job).await, JobState::Success);
        running.drain().await;
        rig.end().await;
    }
}
