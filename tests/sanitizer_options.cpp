// Part of every test program under a sanitizer: the options hold however the program is started.
extern "C" {
const char* __asan_default_options();   // NOLINT(bugprone-reserved-identifier): the sanitizers' own names
const char* __ubsan_default_options();  // NOLINT(bugprone-reserved-identifier)
const char* __tsan_default_options();   // NOLINT(bugprone-reserved-identifier)

// References into a frame that is gone are what coroutines get wrong first.
const char* __asan_default_options() { return "detect_stack_use_after_return=1:strict_string_checks=1"; }
const char* __ubsan_default_options() { return "print_stacktrace=1"; }
// Children of a fork start threads of their own in the tests of SA-7.
const char* __tsan_default_options() { return "halt_on_error=1:second_deadlock_stack=1:die_after_fork=0"; }
}
