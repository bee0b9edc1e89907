// How the process ends when it does not end by itself: by a signal, by a file that is taken away
// under its feet, for want of memory. Nothing that the run made under a temporary name is left, and
// what can be said is said in one line.
#pragma once

namespace diptych::cli {

// From now on:
// - SIGTERM, SIGHUP, SIGINT, SIGPIPE and the like remove temporaries before they end the process as
//   they always do; those that are ignored stay so;
// - a file that grows beyond a limit (SIGXFSZ) is an error of writing like others;
// - a mapped file that becomes shorter while it is read (SIGBUS), and memory that ends, end the
//   process with status 1 and a line that says what it was.
void guard_process();

// What that line begins with: "diptych <command>".
void set_process_command(const char* command);

// From now on the first Ctrl-C only sets interrupted(), so that work ends in order; a second one
// ends the process. Called again, it begins anew.
void stop_on_interrupt();
bool interrupted();

}  // namespace diptych::cli
