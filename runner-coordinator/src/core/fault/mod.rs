//! Faults on demand: a rule says at which calls of which endpoint what goes wrong.
//!
//! # Text form
//!
//! `ENDPOINT:WHEN:EFFECT[,EFFECT…]`
//!
//! WHEN is one condition or several joined by `&`; of each kind one at most.
//!
//! | Part | Form | Meaning |
//! | --- | --- | --- |
//! | ENDPOINT | `patch_trace`, … | one [`Endpoint`](super::Endpoint) |
//! | | `job` | every call with a job token |
//! | | `*` | every call |
//! | WHEN | `3` | the third call that this rule sees |
//! | | `2-4`, `2-` | second to fourth; from the second on |
//! | | `%3` | every third |
//! | | `*` | all |
//! | | `~0.1` | one in ten of these calls, drawn from the seed |
//! | | `@10s-18s`, `@10s-`, `@-18s` | sees only calls between these times, counted from the coordinator's start |
//! | | `^2` | acts at most twice on calls that concern one and the same job |
//! | EFFECT | `503` | answered with this status, the request is not processed |
//! | | `throttle=7s` | answered as GitLab's request throttle does: `429`, plain text, all `RateLimit-…` headers |
//! | | `header=NAME=VALUE` | header of the answer, replacing one of that name |
//! | | `body=TEXT` | body of the answer |
//! | | `delay=1500ms`, `10s`, `2m` | the answer is held back, after processing |
//! | | `delay-before=10s` | the request is processed only after this time |
//! | | `reset` | connection lost before the request is processed |
//! | | `reset=after` | processed, then the connection is lost without an answer |
//! | | `truncate=100` | connection lost after 100 bytes of the answer's body |
//! | | `stall` | never processed, never answered; the connection stays |
//! | | `stall=after` | processed, never answered; the connection stays |
//! | | `stall=100` | the answer's body stops after 100 bytes; the connection stays |
//! | | `unread` | like `stall`, and nothing of the request's body is read either |
//! | | `forget=512` | the last 512 bytes of the job's trace are lost first, unless it has ended |
//! | | `twice` | processed twice, as if something on the way had repeated it; the second answer is sent |
//! | | `down` | nothing listens: connections are refused. Only in the form `*:@10s-18s:down` or `*:*:down` |
//!
//! In a text, `\,` is a comma, `\\` a backslash and `\xNN` any byte. Durations have whole milliseconds.
//!
//! Several rules may meet one call; their effects add up: delays and lost bytes are summed, and of two statuses, or of
//! two ways to lose the connection, the first counts.
//!
//! # Chance
//!
//! Whether a rule with `~` draws its n-th call depends on [`Options::seed`](super::Options::seed), on the rule's place
//! among the rules and on n, and on nothing else: two runs with the same calls have the same faults.
//!
//! ```
//! use runner_coordinator::fault::Fault;
//!
//! let fault: Fault = "patch_trace:2-4:503,header=Retry-After=1".parse()?;
//! assert_eq!(fault.to_string(), "patch_trace:2-4:503,header=retry-after=1");
//! let rarely: Fault = "job:@1m-&~0.05:reset=after".parse()?;
//! assert_eq!(rarely.to_string(), "job:~0.05&@60000ms-:reset=after");
//! assert!("patch_trace:2:teapot".parse::<Fault>().is_err());
//! # Ok::<(), runner_coordinator::fault::FaultError>(())
//! ```

mod plan;
mod rule;
mod text;

pub use rule::{Calls, Chance, Effect, Fault, Target, Window};
pub use text::FaultError;

pub(super) use plan::{Faults, Plan};
