//! Typed client of GitLab's Runner API: register, request jobs, stream logs, move artifacts.
