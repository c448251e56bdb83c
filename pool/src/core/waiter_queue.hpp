#pragma once

#include "time.hpp"

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

namespace trunkline::core {

struct slot;

/// How a wait ended. Each waiter gets exactly one outcome.
enum class outcome : unsigned char {
    pending,         ///< still in the queue
    granted,         ///< has a connection
    timed_out,       ///< its deadline passed
    suspended,       ///< its deadline passed while the pool was suspended
    cancelled,       ///< it gave up
    queue_full,      ///< the queue has no room
    overloaded,      ///< the queue has stood for too long
    would_deadlock,  ///< all who hold a connection wait for another
    unavailable,     ///< no connection is open, and none will be soon
    auth_failed,     ///< the same, because the server refuses user or password
    server_full,     ///< the same, because the server has no room
    refused,         ///< the program's hook refused the caller
    closed,          ///< the pool is closed
};

/// A caller in the queue. It lives in the caller's own operation state: the queue links it and never allocates.
struct waiter {
    boost::intrusive::list_member_hook<> in_order;
    boost::intrusive::set_member_hook<boost::intrusive::optimize_size<true>> by_deadline;  ///< of stragglers alone
    time_point since = never;                                                              ///< when it came
    time_point deadline = never;
    slot* granted = nullptr;  ///< with `outcome::granted`
    slot* holds = nullptr;    ///< what its caller holds meanwhile, as far as it said so
    outcome result = outcome::pending;
    bool straggler = false;         ///< came after one whose deadline is later
    std::uint16_t passed_over = 0;  ///< connections that the program's hook did not want for it
};

/// Waiters whose outcome is known and who must be told, in the order of the decisions.
using waiter_list = boost::intrusive::list<
    waiter, boost::intrusive::member_hook<waiter, boost::intrusive::list_member_hook<>, &waiter::in_order>,
    boost::intrusive::constant_time_size<false>>;

/// The queue: first in, first out, and who is the first whose time is over. Nearly all callers have the same time-out,
/// so that the order of arrival is the order of the deadlines too; the stragglers, whose deadline is earlier than that
/// of somebody before them, are kept in a tree besides. O(1) for the former, O(log n) for the latter. No allocation.
class waiter_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return order_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void push(waiter& w) noexcept {
        order_.push_back(w);
        ++size_;
        w.straggler = first_punctual_ != nullptr && w.deadline < latest_;
        if (w.straggler) {
            stragglers_.insert(w);
            return;
        }
        latest_ = w.deadline;
        if (first_punctual_ == nullptr) {
            first_punctual_ = &w;
        }
    }

    /// The one who has waited longest. The queue must not be empty.
    [[nodiscard]] waiter& front() noexcept {
        assert(!empty());
        return order_.front();
    }

    /// The one who came last of those who hold a connection meanwhile, or null.
    [[nodiscard]] waiter* last_who_holds() noexcept {
        const auto last =
            std::find_if(order_.rbegin(), order_.rend(), [](const waiter& w) { return w.holds != nullptr; });
        return last == order_.rend() ? nullptr : &*last;
    }

    /// Whoever waits and said that he holds `s` holds it no more. O(n), for a caller who has returned it meanwhile.
    void forget_holders_of(const slot& s) noexcept {
        for (waiter& w : order_) {
            w.holds = w.holds == &s ? nullptr : w.holds;
        }
    }

    /// Puts every deadline off by the same time: nobody's turn changes.
    void put_off(nanoseconds by) noexcept {
        for (waiter& w : order_) {
            w.deadline = w.deadline == never ? never : w.deadline + by;
        }
        latest_ = latest_ == never ? never : latest_ + by;
    }

    /// The queue must hold `w`.
    void erase(waiter& w) noexcept {
        auto next = order_.erase(order_.iterator_to(w));
        --size_;
        if (w.straggler) {
            stragglers_.erase(stragglers_.iterator_to(w));
        } else if (&w == first_punctual_) {
            while (next != order_.end() && next->straggler) {  // passed once each: this only moves on
                ++next;
            }
            first_punctual_ = next == order_.end() ? nullptr : &*next;
        }
    }

    /// `never` if nobody waits.
    [[nodiscard]] time_point first_deadline() const noexcept {
        const auto punctual = first_punctual_ == nullptr ? never : first_punctual_->deadline;
        return stragglers_.empty() ? punctual : std::min(punctual, stragglers_.begin()->deadline);
    }

    /// Who must be told at `now` that the time is over, the earliest deadline first, or null.
    [[nodiscard]] waiter* expired(time_point now) noexcept {
        const auto first = first_deadline();
        if (first > now || empty()) {
            return nullptr;
        }
        return first_punctual_ != nullptr && first_punctual_->deadline == first ? first_punctual_
                                                                                : &*stragglers_.begin();
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
    deadline_set stragglers_;
    waiter* first_punctual_ = nullptr;  // in `order_`, the first that is no straggler
    time_point latest_ = never;         // the deadline of the last that is none; counts while there is one
    std::size_t size_ = 0;
};

}  // namespace trunkline::core
