#pragma once

#include <csignal>
#include <pthread.h>
#include <thread>
#include <utility>

namespace trunkline::pg {

/// A thread that takes none of the program's signals, with a name (up to 15 characters) for tools that list threads.
template <typename Body>
std::thread start_helper_thread(const char* name, Body body) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    // The new thread inherits the mask, so that there is no moment in which a signal could reach it.
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::thread started{std::move(body)};
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        pthread_setname_np(started.native_handle(), name);
        return started;
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
}

}  // namespace trunkline::pg
