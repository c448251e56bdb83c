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
    case event_kind::detach: return "detach";
    case event_kind::hook_begins: return "hook_begins";
    case event_kind::task_done: return "task_done";
    case event_kind::opened: return "opened";
    case event_kind::open_failed: return "open_failed";
    case event_kind::lost: return "lost";
    case event_kind::closed: return "closed";
    case event_kind::tick: return "tick";
    case event_kind::reconfigure: return "reconfigure";
    case event_kind::cap: return "cap";
    case event_kind::rotate: return "rotate";
    case event_kind::evict: return "evict";
    case event_kind::suspend: return "suspend";
    case event_kind::resume: return "resume";
    case event_kind::close: return "close";
    case event_kind::announce_close: return "announce the close";
    }
    return "?";
}

constexpr const char* name_of(core::task t) {
    switch (t) {
    case core::task::none: return "";
    case core::task::prepare: return "prepare";
    case core::task::check: return "check";
    case core::task::keepalive: return "keep alive";
    case core::task::clean: return "clean";
    case core::task::farewell: return "take leave of";
    }
    return "?";
}

constexpr const char* name_of(const core::command& c) {
    switch (c.kind) {
    case core::command_kind::dial: return "dial";
    case core::command_kind::work: return name_of(c.doing);
    case core::command_kind::close: return "close";
    case core::command_kind::report_leak: return "report a leak of";
    }
    return "?";
}

constexpr const char* name_of(core::outcome o) {
    switch (o) {
    case core::outcome::pending: return "pending";
    case core::outcome::granted: return "granted";
    case core::outcome::timed_out: return "timed out";
    case core::outcome::suspended: return "timed out, suspended";
    case core::outcome::cancelled: return "cancelled";
    case core::outcome::queue_full: return "told that the queue is full";
    case core::outcome::overloaded: return "told that the queue stands";
    case core::outcome::would_deadlock: return "told that all holders wait";
    case core::outcome::unavailable: return "told that the server is down";
    case core::outcome::auth_failed: return "told that the login is refused";
    case core::outcome::server_full: return "told that the server is full";
    case core::outcome::refused: return "refused by the hook";
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
    case core::leave_reason::worn: return ": worn";
    case core::leave_reason::retired: return ": retired";
    case core::leave_reason::surplus: return ": surplus";
    case core::leave_reason::discarded: return ": discarded";
    case core::leave_reason::invalid: return ": invalid";
    case core::leave_reason::unprepared: return ": unprepared";
    case core::leave_reason::expired: return ": expired";
    case core::leave_reason::shutdown: return ": shutdown";
    }
    return "?";
}

constexpr const char* name_of(core::returned r) {
    switch (r) {
    case core::returned::clean: return ", clean";
    case core::returned::unclean: return ", unclean";
    case core::returned::spoilt: return ", spoilt";
    }
    return "?";
}

constexpr const char* name_of(core::verdict v) {
    switch (v) {
    case core::verdict::good: return ", good";
    case core::verdict::bad: return ", bad";
    case core::verdict::elsewhere: return ", elsewhere";
    case core::verdict::refused: return ", refused";
    }
    return "?";
}

constexpr const char* name_of(core::dial_failure f) {
    switch (f) {
    case core::dial_failure::transient: return ", transient";
    case core::dial_failure::full: return ", full";
    case core::dial_failure::starting: return ", starting";
    case core::dial_failure::refused: return ", refused";
    case core::dial_failure::misconfigured: return ", misconfigured";
    case core::dial_failure::aborted: return ", aborted";
    }
    return "?";
}

constexpr const char* detail_of(const event& e) {
    switch (e.kind) {
    case event_kind::release: return name_of(e.how);
    case event_kind::open_failed: return name_of(e.why);
    case event_kind::task_done: return name_of(e.verdict);
    case event_kind::reconfigure: return e.flag ? ", replacing" : "";
    case event_kind::lost: return e.flag ? ", ended by the server" : "";
    case event_kind::suspend: return e.flag ? ", holding deadlines" : "";
    case event_kind::evict: return e.flag ? ", odd ones" : ", all";
    default: return "";
    }
}

}  // namespace simulation
