#pragma once

#include "conninfo.hpp"
#include "dialer.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace trunkline::pg {

/// One dial: names are resolved, then address after address is tried, until one connects, a server refuses, or the
/// deadline passes. Everything happens on the dialer's one thread, so nothing is locked.
///
/// A server that answers ends the dial, except one that starts up or shuts down (57P03): so does libpq with a list of
/// hosts. Each step (a lookup, an address) gets an equal share of the time left, so that a first host that is a black
/// hole leaves time for the second.
class dial : public std::enable_shared_from_this<dial> {
public:
    /// What the dials of one dialer share.
    struct environment {
        boost::asio::io_context context{1};
        boost::asio::ip::tcp::resolver resolver{context};
        std::size_t lookups = 0;  ///< under way; the system's lookup cannot be interrupted
    };

    dial(environment& shared, std::shared_ptr<const conninfo> where, std::chrono::steady_clock::time_point deadline,
         dialer::on_dialed done);
    ~dial();

    void begin();
    /// Ends with that code; nothing happens if it has ended.
    void abort(error_code why) noexcept;

private:
    using address_list = std::deque<std::string>;

    /// One host in one of the rounds that `target_session_attrs` asks for.
    struct candidate {
        const conninfo::host* host;
        const char* session_attributes;  ///< null: as the connection string says
    };

    template <typename Step>
    void attempt(Step step) noexcept;
    void plan();
    void next_candidate();
    void look_up();
    void on_looked_up(const error_code& failed, const boost::asio::ip::tcp::resolver::results_type& found);
    void next_address();
    void try_address(const std::string& address);
    void advance();
    void wait(PostgresPollingStatusType for_what);
    void start_step(std::size_t steps_left);
    void on_step_timeout();
    void step_failed(error_code code, diagnostics said);
    void let_go() noexcept;
    void connected();
    void finish(dialed what);
    [[nodiscard]] std::string label() const;

    environment& shared_;
    const std::shared_ptr<const conninfo> where_;
    const std::chrono::steady_clock::time_point deadline_;
    dialer::on_dialed done_;

    std::deque<candidate> candidates_;
    candidate current_{};
    address_list addresses_;
    std::string address_;
    connection_handle connection_;
    boost::asio::posix::stream_descriptor watched_;  // borrows libpq's descriptor between two polls
    boost::asio::steady_timer timer_;
    unsigned step_ = 0;  // tells a handler of the present step from one that comes too late
    bool ended_ = false;

    dialed failure_;
    std::size_t failures_ = 0;
};

}  // namespace trunkline::pg
