#pragma once

#include "model.hpp"

/// The words of a run's history.
namespace simulation {

constexpr const char* name_of(event_kind k) {
    switch (k) {
    case event_kind::start: return "start";
    case event_kind::wait: return "wait";
    case event_kind::cancel: return "cancel";
    case event_kind::release: return "release";
    case event_kind::reset_done: return "reset_done";
    case event_kind::opened: return "opened";
    case event_kind::open_failed: return "open_failed";
    case event_kind::lost: return "lost";
    case event_kind::closed: return "closed";
    case event_kind::tick: return "tick";
    case event_kind::reconfigure: return "reconfigure";
    case event_kind::rotate: return "rotate";
    case event_kind::close: return "close";
    }
    return "?";
}

constexpr const char* name_of(core::command_kind k) {
    switch (k) {
    case core::command_kind::dial: return "dial";
    case core::command_kind::reset: return "reset";
    case core::command_kind::close: return "close";
    }
    return "?";
}

constexpr const char* name_of(core::outcome o) {
    switch (o) {
    case core::outcome::pending: return "pending";
    case core::outcome::granted: return "granted";
    case core::outcome::timed_out: return "timed out";
    case core::outcome::cancelled: return "cancelled";
    case core::outcome::queue_full: return "told that the queue is full";
    case core::outcome::unavailable: return "told that the login is refused";
    case core::outcome::closed: return "told that the pool is closed";
    }
    return "?";
}

constexpr const char* name_of(core::leave_reason r) {
    switch (r) {
    case core::leave_reason::none: return "";
    case core::leave_reason::lost: return ": lost";
    case core::leave_reason::idle: return ": idle";
    case core::leave_reason::old: return ": old";
    case core::leave_reason::retired: return ": retired";
    case core::leave_reason::surplus: return ": surplus";
    case core::leave_reason::discarded: return ": discarded";
    case core::leave_reason::shutdown: return ": shutdown";
    }
    return "?";
}

constexpr const char* detail_of(const event& e) {
    if (e.kind == event_kind::release) {
        return e.how == core::returned::clean    ? ", clean"
               : e.how == core::returned::spoilt ? ", spoilt"
                                                 : ", in a transaction";
    }
    if (e.kind == event_kind::open_failed) {
        return e.why == core::dial_failure::refused   ? ", refused"
               : e.why == core::dial_failure::aborted ? ", aborted"
                                                      : "";
    }
    return e.kind == event_kind::reset_done && !e.well      ? ", badly"
           : e.kind == event_kind::reconfigure && e.replace ? ", replacing"
                                                            : "";
}

}  // namespace simulation
