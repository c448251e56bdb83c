#pragma once

#include "slot.hpp"
#include "waiter_queue.hpp"

#include <boost/container/small_vector.hpp>

namespace trunkline::core {

/// What the face must do with a connection.
enum class command_kind : unsigned char {
    dial,         ///< open one; answer with `opened` or `open_failed`
    work,         ///< the task that its slot names; answer with `task_done`, however long it takes
    close,        ///< close it; answer with `closed`
    report_leak,  ///< its lease is older than the threshold: say so
};

struct command {
    command_kind kind;
    slot* target;
    leave_reason reason = leave_reason::none;  ///< of a close
    task doing = task::none;                   ///< of work
};

/// What became of the warm-up.
enum class warm_up : unsigned char {
    no_news,
    complete,  ///< `min` connections are open
    failed,    ///< it will not be in time: the last connect error says why
};

/// What the core has decided in one event. The face carries it out once it has let go of its lock.
struct actions {
    waiter_list settled;                                  ///< tell them
    boost::container::small_vector<command, 4> commands;  ///< do these, in this order
    time_point wake = never;                              ///< call `tick` at this time, or earlier
    warm_up warmed = warm_up::no_news;                    ///< tell `start`
    bool closes = false;    ///< abort every dial under way: the pool is closed from now on
    bool finished = false;  ///< tell `close`: every session has ended
};

}  // namespace trunkline::core
