//! The format in which a stage's output and end travel from the supervisor to the manager.
