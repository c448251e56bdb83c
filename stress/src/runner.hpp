#pragma once

#include "catalogue.hpp"
#include "options.hpp"
#include "phase_board.hpp"
#include "post.hpp"
#include "report.hpp"
#include "search_terms.hpp"
#include "session_watch.hpp"
#include "workload.hpp"

#include <trunkline/pool.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <string>

namespace trunkline::stress {

/// One whole job: loads the posts, lets the clients run (once, or at rising rates), looks for every write, cleans up.
/// SIGINT and SIGTERM end the phase under way and lead to the report of what was done; a second one ends the process.
class runner {
public:
    /// `url`: the server. Throws `user_error` if it cannot be read.
    runner(const options& asked, std::string url, post_source& posts, progress& shown);

    /// Throws `user_error` for what the user can mend, `error` or others if the job failed.
    report run();

private:
    boost::asio::awaitable<void> main_job();
    boost::asio::awaitable<void> do_job();
    boost::asio::awaitable<void> connect();
    boost::asio::awaitable<void> refuse_too_many_connections();
    boost::asio::awaitable<void> load();
    boost::asio::awaitable<void> run_once(operation_context context);
    boost::asio::awaitable<void> run_capacity(operation_context context);
    boost::asio::awaitable<measurements> run_workload(operation_context context, workload_settings settings,
                                                      std::string title);
    boost::asio::awaitable<void> clean_up();
    boost::asio::awaitable<void> show_progress();
    void await_signal();
    [[nodiscard]] workload_settings settings_for_run() const;

    const options asked_;
    post_source& posts_;
    boost::asio::io_context io_;
    boost::asio::signal_set signals_;
    pool pool_;
    session_watch watch_;
    search_terms terms_;
    sleeper progress_sleep_;
    gate progress_gate_;
    std::atomic<bool> finished_{false};
    phase_board board_;
    bool schema_made_ = false;
    std::exception_ptr failure_;
    report report_;
};

}  // namespace trunkline::stress
