#pragma once

#include "canceller.hpp"
#include "mending.hpp"
#include "prepared_statements.hpp"
#include "resumption/context_threads.hpp"
#include "resumption/handler_room.hpp"
#include "session.hpp"
#include "socket.hpp"
#include "transfer.hpp"

#include <trunkline/notification.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/container/static_vector.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <exception>
#include <mutex>
#include <string_view>
#include <vector>

namespace trunkline::pg {

/// What a session is made of. One small lock guards it, because its executor may have many threads; nobody else's code
/// is called under it: what there is to tell is written down as `news` and told after the lock.
///
/// While the socket is open, one wait for reading is under way (or its handler runs), also when the session is broken
/// or closing; in a transfer that is paused it may be one for errors alone. So an execution context that is destroyed always reaches `on_abandoned`, and nothing of Asio's is left
/// behind in an object that lives longer.
///
/// session_link.cpp: its life, and who is told what. session_send.cpp: what goes out. session_events.cpp: what the server
/// says. session_mend.cpp: statements that were given up, time-outs, returns.
/// session_prepare.cpp: prepared statements. session_batch.cpp: pipelines. session_transfer.cpp: streams and COPY. session_copy.cpp: COPY's data to the server.
/// session_notify.cpp: notifications. session_report.cpp: what the program and its log are told.
class session::link final : public socket_owner, public cancel_observer, public std::enable_shared_from_this<link> {
public:
    link(boost::asio::any_io_executor executor, connection_handle connection, session::events to);
    ~link();

    void watch();
    void start(operation& what) noexcept;
    void cancel(operation& what) noexcept;
    [[nodiscard]] left end_use() noexcept;
    void mend(operation& what) noexcept;
    void hear(hearing& what) noexcept;
    [[nodiscard]] bool take_notification(hearing& what) noexcept;
    [[nodiscard]] arrival next(transfer& of) noexcept;
    [[nodiscard]] arrival outlook_of(const transfer& what) const noexcept;
    void await(transfer& of) noexcept;
    void let_go(transfer& what) noexcept;
    void put(transfer& into, std::string_view data) noexcept;
    void put_end(transfer& of, const char* reason) noexcept;
    void close(error_code reason, std::function<void()> closed) noexcept;
    /// The session is destroyed.
    void hang_up() noexcept;

    [[nodiscard]] session_state state() const noexcept { return state_.load(std::memory_order_acquire); }
    [[nodiscard]] bool is_read_only() const noexcept { return read_only_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool is_heard() const noexcept { return is_heard_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> take_first_use() noexcept;
    [[nodiscard]] int backend_pid() const noexcept { return backend_pid_; }
    [[nodiscard]] std::string server_parameter(const char* name) const;

    void on_ready(direction which, std::shared_ptr<socket_owner> self) override;
    void on_abandoned() noexcept override;
    void on_request_ended(bool certain) noexcept override;

private:
    using clock = std::chrono::steady_clock;
    static constexpr clock::time_point never = clock::time_point::max();

    struct news {
        std::array<operation*, 3> done{};     ///< have their outcome: the user's first, then who mends or hears
        const operation* finished = nullptr;  ///< of those, a statement of the program's that is to be reported
        statement_times times{};
        bool lost = false;
        std::vector<diagnostics> notices;
        std::function<void()> closed;

        void add(operation* ended) noexcept {
            if (ended != nullptr && take_awaited(*ended)) {
                *std::ranges::find(done, nullptr) = ended;
            }
        }
        [[nodiscard]] bool any() const noexcept { return done[0] != nullptr || lost || closed || !notices.empty(); }
    };
    struct posted_news;
    using letter_room = detail::handler_room<256>;  // 152 are needed

    /// What the server still has to answer, in this order; each ends with a ReadyForQuery.
    enum class unit : unsigned char {
        reset,      ///< of the last lease
        preamble,   ///< SET or RESET statement_timeout
        closing,    ///< of a prepared statement
        statement,  ///< the user's; always the last
        absorb,     ///< an empty statement, which takes a late signal
        rollback,   ///< of a transaction that a lease ended in
    };

    /// Whether somebody is to be told of it: of a transfer only who waits, and once.
    [[nodiscard]] static bool take_awaited(operation& what) noexcept {
        return !what.is_transfer || std::exchange(static_cast<transfer&>(what).awaited_, false);
    }
    static void on_notice(void* self, const PGresult* said) noexcept;

    // All of these under the lock. Sending:
    void admit(operation& what, news& told);
    void refuse(operation& what, news& told) noexcept;
    void refuse_for_memory(operation& what, news& told) noexcept;
    void send(operation& what, news& told);
    [[nodiscard]] preamble preamble_for(operation& what) noexcept;
    [[nodiscard]] bool send_preamble(preamble first);
    [[nodiscard]] bool send_reset();
    bool feed(news& told);
    [[nodiscard]] bool enter_pipeline() noexcept;
    void send_own(const char* sql, unit as, news& told);
    [[nodiscard]] bool leaves_state(std::string_view sql) noexcept;
    [[nodiscard]] bool note_footprint(const operation& what) noexcept;
    void count_statement() noexcept;
    void limit_operation(std::chrono::milliseconds timeout, bool tells_server);
    [[nodiscard]] prepared_statements::choice plan(operation& what);
    [[nodiscard]] bool send_closing(std::shared_ptr<known_statement> what);
    [[nodiscard]] bool send_warming(operation& what);
    [[nodiscard]] bool send_transfer(transfer& what);
    void flush(news& told);

    // Hearing:
    void on_readable(news& told);
    void on_writable(news& told);
    void receive(news& told);
    void take_answers(news& told);
    void take_asides(news& told);
    void on_answered(unit what, news& told);
    void on_statement_end(news& told);
    [[nodiscard]] bool end_copy(bool in, operation& into, news& told);
    void note_read_only() noexcept;
    void settle_state() noexcept;
    [[nodiscard]] bool settle_plan(operation& ended, news& told);
    [[nodiscard]] bool settle_warming(operation& ended, news& told);
    void settle_closing(const error_code& failed);
    void give_up_plan(const operation& what);
    void settle_batch(batch& ended);
    [[nodiscard]] bool give_up_batch() noexcept;

    // Transfers:
    [[nodiscard]] transfer* current_transfer() const noexcept;
    [[nodiscard]] arrival outlook(const transfer& of) const noexcept;
    void limit_waiting(const transfer& of);
    void wake(transfer& of, news& told) noexcept;
    [[nodiscard]] bool is_paused() const noexcept;
    [[nodiscard]] bool take_piece(transfer& of, news& told);
    [[nodiscard]] bool take_result(transfer& of, result taken, const PGresult* got, news& told);
    [[nodiscard]] bool take_data(transfer& of, news& told);
    static void settle_transfer(transfer& of, result got);
    void end_data(transfer& of, const char* reason, news& told);
    void end_transfer(transfer& of, news& told);
    [[nodiscard]] bool quit_transfer(const transfer& of, news& told);
    void listen(news& told);
    void look_for_refusal(news& told);
    void read_on(std::shared_ptr<socket_owner> self);
    void hold(std::shared_ptr<socket_owner> self);

    // Notifications:
    void take_notifications(news& told);
    [[nodiscard]] bool give_notification(hearing& to) noexcept;
    /// What comes is still for the last lease.
    [[nodiscard]] bool is_resetting() const noexcept { return !expected_.empty() && expected_.front() == unit::reset; }
    void end_hearing(error_code why, news& told) noexcept;
    void forget_notifications() noexcept;

    // Reporting:
    void note_begin() noexcept;
    void note_sent() noexcept;
    void finish(operation* ended, news& told) noexcept;

    // Mending:
    void give_up(error_code code, news& told);
    void go_on(news& told);
    [[nodiscard]] bool request_stop(std::shared_ptr<cancel_target> target) noexcept;
    void ask_to_stop(news& told);
    void on_request_told(news& told);
    void calm(news& told);
    void limit_mending(session_policy::milliseconds time);
    void arm();
    void on_timer(clock::time_point at);
    void on_due(clock::time_point now, news& told);
    void on_overdue(news& told);
    [[nodiscard]] bool drained_too_much() const noexcept;
    void give_up_drain(news& told);

    // Ending:
    [[nodiscard]] operation* take_operation() noexcept;
    [[nodiscard]] operation* take_to_drop() noexcept;
    void forsake(transfer& what) noexcept;
    void break_off(news& told, const char* why);
    void lose(news& told) noexcept;
    void condemn(news& told, std::string_view why) noexcept;
    void stop_last_statement() noexcept;
    void request_last_stop() noexcept;
    void stop_again_later();
    void end_operations(news& told) noexcept;
    void note_last_words(const operation* last);
    void end(news& told);
    void limit_goodbye();
    static void say(diagnostics& into, std::string_view words) noexcept;
    /// Runs a step. Without memory the session is lost: what has been read or sent is no whole.
    template <typename Step>
    void attempt(news& told, Step step) noexcept {
        try {
            step();
        } catch (const std::bad_alloc&) {
            if (connection_) {
                condemn(told, "out of memory");
            }
        } catch (const std::exception& failed) {
            if (connection_) {
                condemn(told, failed.what());
            }
        }
    }

    // Not under the lock.
    void tell(news& told);
    void tell_later(news told) noexcept;
    void report(const operation& ended, const statement_times& times) const noexcept;
    void report(transfer& ended) const noexcept;
    void report_one(statement_report what, const statement_times& times) const noexcept;
    void log_failed_hook(const char* why) const noexcept;
    void log_notice(const diagnostics& notice) const noexcept;
    void log_pooler() const noexcept;

    static constexpr clock::rep unused = 0;
    static constexpr std::size_t most_notifications = 1'024;  // of 8 KiB each at most
    static constexpr std::uint64_t lot = 64;                  // in which statements are counted
    static constexpr std::size_t most_units = 4;  // reset, preamble, closing, statement; then absorb or rollback alone

    const boost::asio::any_io_executor executor_;
    boost::asio::io_context* const context_;  // of `executor_`, or null: it is of another kind
    detail::context_threads* const threads_;  // of that context
    const session::events to_;
    const std::shared_ptr<session_policy> policy_;
    const int backend_pid_;
    const unsigned born_ = fork_generation();
    const bool opened_read_only_;
    std::atomic<session_state> state_{session_state::clean};
    std::atomic<clock::rep> first_use_{unused};
    std::atomic<footprint> footprint_{footprint::none};
    std::atomic<bool> read_only_{false};

    std::atomic<bool> is_heard_{false};  // there is a hearer

    std::atomic<bool> abandoned_{false};  // the execution context is gone

    letter_room letter_;  // what a statement ended with must reach its caller without memory too

    mutable std::mutex mutex_;  // guards what follows
    connection_handle connection_;
    const std::unique_ptr<socket> socket_;
    // Of the user's operation there is one at most, and of these two pointers one is set at most.
    operation* current_ = nullptr;  // has been sent
    operation* parked_ = nullptr;   // waits until the session is quiet
    operation* mender_ = nullptr;   // of `mend`
    hearing* hearer_ = nullptr;     // waits for a notification
    operation own_;                 // takes the answers that are nobody's
    boost::container::static_vector<unit, most_units> expected_;
    statement_times times_;  // of the user's operation, if they are reported
    unrest unrest_;
    armed_timeout armed_;
    bool in_pipeline_ = false;
    std::size_t syncs_left_ = 0;  // of a pipeline's statements: answers to come
    // The last statement that was judged, because programs run few different ones: comparing costs a tenth of judging.
    std::array<char, 256> judged_;
    std::size_t judged_size_ = 0;  // 0: none
    bool judged_to_leave_state_ = false;
    prepared_statements prepared_;
    known_statement* planned_ = nullptr;  // of the statement that runs
    bool repeated_ = false;               // it is prepared for the second time
    std::vector<std::shared_ptr<known_statement>> warming_;
    std::shared_ptr<known_statement> closing_statement_;
    bool reading_ = false;   // a wait for reading is under way
    bool writing_ = false;   // one for writing
    bool watching_ = false;  // one for errors
    bool hung_up_ = false;   // the connection was reset: what has arrived is read to its end
    bool closing_ = false;
    bool copying_ = false;     // the statement is a COPY, being ended
    std::size_t drained_ = 0;  // of a COPY, or of a statement that was given up
    std::uint64_t statements_ = 0;
    clock::time_point deadline_ = never;         // of the user's operation, as this side notices it
    clock::time_point server_deadline_ = never;  // the same, as the server notices it; `never` if it is not told
    std::chrono::milliseconds server_time_{0};   // what it is told
    clock::time_point mending_deadline_ = never;
    clock::time_point hearing_deadline_ = never;
    clock::time_point ask_again_at_ = never;  // the server takes no notice of a request that comes between two messages
    clock::time_point timer_at_ = never;      // when the timer fires; maybe earlier than anything is due
    std::unique_ptr<boost::asio::steady_timer> timer_;
    std::shared_ptr<cancel_target> last_target_;  // what runs in a session that this side has ended
    std::chrono::milliseconds last_pause_{0};     // before the server was last asked to stop that
    std::unique_ptr<boost::asio::steady_timer> close_timer_;
    std::function<void()> closed_;
    std::deque<notification> notifications_;  // that nobody has asked for yet
    bool notifications_missed_ = false;       // there were more, later than those
    std::vector<diagnostics> notices_;        // since the last `news`
    std::optional<diagnostics> last_words_;   // the server's FATAL, what it should not have said, why we gave up
    error_code lost_code_{pool_errc::connection_lost};  // what who comes too late is told
    diagnostics lost_said_;
};

}  // namespace trunkline::pg
