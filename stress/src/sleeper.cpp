#include "sleeper.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

namespace trunkline::stress {

namespace {

struct alarm {
    sleeper::clock::time_point when;
    std::size_t bed;  ///< where the handler lies
};
/// `std::push_heap` and its like keep the greatest at the front: the earliest.
bool later(const alarm& one, const alarm& other) { return one.when > other.when; }

}  // namespace

class sleeper::state : public std::enable_shared_from_this<sleeper::state> {
public:
    explicit state(boost::asio::any_io_executor executor) : executor_{std::move(executor)}, timer_{executor_} {}

    void add(clock::time_point when, wake_handler handler) {
        const std::lock_guard lock{mutex_};
        if (awake_) {
            boost::asio::post(executor_, std::move(handler));
            return;
        }
        alarms_.push_back({when, lay_down(std::move(handler))});
        std::push_heap(alarms_.begin(), alarms_.end(), later);
        if (!armed_ || when < armed_for_) {
            arm();
        }
    }

    void wake_all() {
        const std::lock_guard lock{mutex_};
        awake_ = true;
        while (!alarms_.empty()) {
            wake_earliest();
        }
        timer_.cancel();
    }

private:
    std::size_t lay_down(wake_handler handler) {
        if (free_.empty()) {
            beds_.emplace_back(std::move(handler));
            return beds_.size() - 1;
        }
        const auto bed = free_.back();
        free_.pop_back();
        beds_[bed].emplace(std::move(handler));
        return bed;
    }

    void wake_earliest() {
        std::pop_heap(alarms_.begin(), alarms_.end(), later);
        const auto bed = alarms_.back().bed;
        alarms_.pop_back();
        boost::asio::post(executor_, std::move(*beds_[bed]));
        beds_[bed].reset();
        free_.push_back(bed);
    }

    void arm() {
        armed_ = true;
        armed_for_ = alarms_.front().when;
        timer_.expires_at(armed_for_);  // ends the wait under way, if any, with operation_aborted
        timer_.async_wait([self = shared_from_this()](const boost::system::error_code& problem) {
            if (!problem) {
                self->on_timer();
            }
        });
    }

    void on_timer() {
        const std::lock_guard lock{mutex_};
        armed_ = false;
        const auto now = clock::now();
        while (!alarms_.empty() && alarms_.front().when <= now) {
            wake_earliest();
        }
        if (!alarms_.empty()) {
            arm();
        }
    }

    boost::asio::any_io_executor executor_;
    std::mutex mutex_;
    boost::asio::steady_timer timer_;
    clock::time_point armed_for_;
    bool armed_ = false;
    bool awake_ = false;
    std::vector<alarm> alarms_;
    // Handlers are only ever move-constructed: move-assigning one never returns (Asio 1.26).
    std::deque<std::optional<wake_handler>> beds_;
    std::vector<std::size_t> free_;
};

sleeper::sleeper(boost::asio::any_io_executor executor) : state_{std::make_shared<state>(std::move(executor))} {}

sleeper::~sleeper() { state_->wake_all(); }

// Who is woken may destroy the sleeper while its lock is still held here: the state stays.
void sleeper::begin(clock::time_point when, wake_handler handler) {
    const auto kept = state_;
    kept->add(when, std::move(handler));
}

void sleeper::wake_all() {
    const auto kept = state_;
    kept->wake_all();
}

}  // namespace trunkline::stress
