#pragma once

#include "time.hpp"

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <cassert>
#include <cstddef>

namespace trunkline::core {

struct slot;

/// How a wait ended. Each waiter gets exactly one outcome.
enum class outcome : unsigned char {
    pending,      ///< still in the queue
    granted,      ///< has a connection
    timed_out,    ///< its deadline passed
    cancelled,    ///< it gave up
    queue_full,   ///< the queue has no room
    unavailable,  ///< the server refuses to let us in, and no connection is open
    closed,       ///< the pool is closed
};

/// A caller in the queue. It lives in the caller's own operation state: the queue links it and never allocates.
struct waiter {
    boost::intrusive::list_member_hook<> in_order;
    boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>> by_deadline;
    time_point deadline = never;
    slot* granted = nullptr;  ///< with `outcome::granted`
    outcome result = outcome::pending;
};

/// Waiters whose outcome is known and who must be told, in the order of the decisions.
using waiter_list =
    boost::intrusive::list<waiter, boost::intrusive::member_hook<waiter, boost::intrusive::list_member_hook<>, &waiter::in_order>,
                           boost::intrusive::constant_time_size<false>>;

/// The queue: first in, first out, and the same waiters once more by deadline. Each operation is O(1), but an insertion
/// whose deadline is not the latest, and it is O(log n). No allocation.
class waiter_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return order_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void push(waiter& w) noexcept {
        order_.push_back(w);
        deadlines_.insert(deadlines_.end(), w);  // the hint makes the usual case, one time-out for all, O(1)
        ++size_;
    }

    /// The one who has waited longest. The queue must not be empty.
    waiter& pop() noexcept {
        assert(!empty());
        waiter& w = order_.front();
        erase(w);
        return w;
    }

    /// The queue must hold `w`.
    void erase(waiter& w) noexcept {
        order_.erase(order_.iterator_to(w));
        deadlines_.erase(deadlines_.iterator_to(w));
        --size_;
    }

    /// `never` if nobody waits.
    [[nodiscard]] time_point first_deadline() const noexcept {
        return deadlines_.empty() ? never : deadlines_.begin()->deadline;
    }

    /// Who must be told at `now` that the time is over, or null.
    [[nodiscard]] waiter* expired(time_point now) noexcept {
        return first_deadline() <= now ? &*deadlines_.begin() : nullptr;
    }

private:
    struct earlier {
        bool operator()(const waiter& a, const waiter& b) const noexcept { return a.deadline < b.deadline; }
    };
    using deadline_set = boost::intrusive::multiset<
        waiter,
        boost::intrusive::member_hook<waiter, boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>>,
                                      &waiter::by_deadline>,
        boost::intrusive::compare<earlier>, boost::intrusive::constant_time_size<false>>;

    waiter_list order_;
    deadline_set deadlines_;
    std::size_t size_ = 0;
};

}  // namespace trunkline::core
