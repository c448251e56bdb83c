#include "fault_fixture.hpp"
#include "support/catch.hpp"
#include "support/scripted_server.hpp"

#include <boost/asio.hpp>

#include <memory>
#include <optional>

// Every place where an operation sleeps, each with a server that answers, fails or hangs, and with each way to end the
// operation there: the coroutine is cancelled, the pool goes away, or pool and execution context do.
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace trunkline;
using namespace trunkline::test;

namespace {

enum class gate { dialing, queued, checking, querying, mending, closing };
enum class server_does { ok, fail, hang };
enum class ended_by { cancellation, pool, context };

constexpr gate gates[]{gate::dialing, gate::queued, gate::checking, gate::querying, gate::mending, gate::closing};
constexpr const char* names[]{"dialing", "queued", "checking", "querying", "mending", "closing"};

/// One trial: a pool of one connection, a client that stops at the gate, and whoever ends it there.
class trial {
public:
    trial(gate where, server_does then, ended_by what) : where_{where}, then_{then}, what_{what} {
        if (where == gate::dialing) {
            server_.greet_next(then == server_does::ok     ? delayed()
                               : then == server_does::fail ? refuses("53300", "full")
                                                           : silent());
        }
        auto settings = settings_on(server_.url(), "gates", {.min = 0, .max = 1});
        settings.acquire.timeout = 20s;
        settings.connect.timeout = 1s;
        settings.connect.backoff_initial = 1ms;
        settings.recovery.full_retry = 1ms;
        settings.validation = {.after = where == gate::checking ? 0ms : 60s, .timeout = 300ms};
        settings.query.cancel_timeout = 300ms;
        settings.lifetime.rollback_timeout = 300ms;
        pool_.emplace(context_->get_executor(), settings);
    }

    void run() {
        bring_to_gate();
        if (what_ != ended_by::cancellation) {
            pool_.reset();
        } else {
            stop_.emit(asio::cancellation_type::terminal);
        }
        if (what_ == ended_by::context) {
            held_ = {};
            context_.reset();
            CHECK(frames_.use_count() == 1);
            CHECK(ends_ <= 1);
            return;
        }
        server_goes_on();
        settle();
    }

private:
    static greeting delayed() {
        auto how = accepts();
        how.delay = 30ms;
        return how;
    }

    /// Runs until `holds`; false: not within ten seconds.
    template <typename Condition>
    bool run_until(Condition holds) {
        const auto give_up = std::chrono::steady_clock::now() + 10s;
        while (!holds()) {
            if (std::chrono::steady_clock::now() > give_up) {
                return false;
            }
            context_->run_for(1ms);
            context_->restart();
        }
        return true;
    }

    asio::awaitable<void> client(std::shared_ptr<int> frame) {
        auto borrowed = co_await pool_->acquire();
        if (where_ == gate::querying || where_ == gate::mending) {
            co_await borrowed->query("SELECT slow()");
        }
        borrowed.release();
        CHECK(frame != nullptr);
    }

    asio::awaitable<void> close_pool(std::shared_ptr<int> frame) {
        co_await pool_->close(100ms);
        CHECK(frame != nullptr);
    }

    void start(asio::awaitable<void> what) {
        auto count = [this, frame = frames_](std::exception_ptr) { ++ends_; };
        asio::co_spawn(*context_, std::move(what), asio::bind_cancellation_slot(stop_.slot(), std::move(count)));
    }

    /// A connection that the test itself holds.
    void borrow() {
        auto keep = [this](error_code failed, lease got) {
            CHECK(!failed);
            held_ = std::move(got);
        };
        pool_->async_acquire(keep);
        CHECK(run_until([&] { return static_cast<bool>(held_); }));
    }

    void bring_to_gate() {
        if (where_ != gate::dialing) {
            borrow();
        }
        const auto statements = server_.count().statements;
        const auto asked = [&] { return server_.count().statements > statements; };
        switch (where_) {
        case gate::dialing:
            start(client(frames_));
            CHECK(run_until([&] { return server_.count().accepted >= 1; }));
            break;
        case gate::queued:
            start(client(frames_));
            CHECK(run_until([&] { return pool_->stats().waiting == 1; }));
            break;
        case gate::checking:
            server_.hold_answers();
            held_.release();
            start(client(frames_));
            CHECK(run_until(asked));
            break;
        case gate::querying:
        case gate::mending:
            server_.hold_answers();
            held_.release();
            start(client(frames_));
            CHECK(run_until(asked));
            if (where_ == gate::mending) {  // the first cancellation; the second meets the session while it is mended
                stop_.emit(asio::cancellation_type::terminal);
                CHECK(run_until([&] { return server_.count().cancels > 0; }));
            }
            break;
        case gate::closing:
            start(close_pool(frames_));
            CHECK(run_until([&] { return pool_->state() == pool_state::closed; }));
            break;
        }
    }

    void server_goes_on() {
        switch (then_) {
        case server_does::ok:
            server_.release_answers();
            held_.release();
            break;
        case server_does::fail:
            server_.end(afterwards::reset);
            server_.release_answers();
            held_.discard();
            break;
        case server_does::hang:
            if (where_ == gate::queued) {
                held_ = {};
            }
            break;
        }
    }

    void settle() {
        if (what_ == ended_by::pool && where_ == gate::querying) {
            server_.release_answers();  // a lease outlives its pool, and so does its statement
        }
        CHECK(run_until([&] { return ends_ == 1; }));
        server_.release_answers();
        held_ = {};
        if (pool_ && where_ != gate::closing) {
            borrow();  // the slot is back
            CHECK(pool_->stats().total == 1);
            held_ = {};
            asio::co_spawn(*context_, pool_->close(0s), asio::detached);
        }
        context_->run_for(10s);
        CHECK(context_->stopped());  // nothing is left that keeps it busy
        pool_.reset();
        context_.reset();
        CHECK(frames_.use_count() == 1);
        CHECK(ends_ == 1);
    }

    const gate where_;
    const server_does then_;
    const ended_by what_;
    scripted_server server_;
    std::shared_ptr<int> frames_ = std::make_shared<int>(0);
    std::optional<asio::io_context> context_{std::in_place};
    asio::cancellation_signal stop_;
    std::optional<pool> pool_;
    lease held_;
    int ends_ = 0;
};

}  // namespace

TEST_CASE("SA-2: an operation that is ended where it sleeps leaks nothing, ends once and gives its slot back") {
    const auto before = open_descriptors();
    for (const auto where : gates) {
        for (const auto then : {server_does::ok, server_does::fail, server_does::hang}) {
            for (const auto what : {ended_by::cancellation, ended_by::pool, ended_by::context}) {
                INFO(names[static_cast<int>(where)] << ", the server " << static_cast<int>(then) << ", ended by "
                                                    << static_cast<int>(what));
                trial{where, then, what}.run();
            }
        }
    }
    CHECK(open_descriptors() == before);
}
