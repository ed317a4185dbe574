//! Job model, scripts, log path, executor traits, run loop and journal of the runner.
