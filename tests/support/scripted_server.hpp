#pragma once

#include "support/scripted_session.hpp"
#include "support/server_script.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace trunkline::test {

/// A fake PostgreSQL on a free port of 127.0.0.1, for what a real one cannot be made to do on demand: it says what its
/// script says, when and as far as it says so, and counts what it sees. Out of the box it takes every login and answers
/// SELECT with one row of int4 `1`, everything else without a result set. It speaks neither TLS nor passwords nor COPY.
///
/// Threads: it runs on one of its own; every member may be called from any other thread at any time. The functions of
/// the script run on its thread: they may look at what it has seen, and must neither call for deeds nor wait.
/// Errors: `std::system_error` if the process lacks what it needs.
class scripted_server {
public:
    using clock = std::chrono::steady_clock;
    using greeter = std::function<greeting(std::size_t session)>;  ///< `session` counts from 0
    using answerer = std::function<answer(const received_statement&)>;

    scripted_server();
    scripted_server(const scripted_server&) = delete;
    scripted_server& operator=(const scripted_server&) = delete;
    /// Resets what is open.
    ~scripted_server();

    [[nodiscard]] std::uint16_t port() const noexcept;
    [[nodiscard]] std::string url() const;

    // The script.

    /// For the next session; several calls are for several sessions, in order.
    void greet_next(greeting how);
    /// For every session that no `greet_next` is for.
    void greet_with(greeter how);
    void greet_with(const greeting& how);
    void answer_with(answerer how);
    void answer_with(const answer& how);
    /// From now on no answer to a statement is sent, until `release_answers()`; statements are taken and recorded all
    /// the same. A client that waits for an answer sends nothing more; one that does not, does.
    void hold_answers();
    void release_answers();

    // Deeds. Each is done when the call returns; what is sent is with the kernel by then, unless the client reads
    // nothing.

    /// Sends bytes that nobody asked for, to every session or to one. Gives to how many.
    std::size_t push(const std::string& bytes);
    std::size_t push(std::size_t session, const std::string& bytes);
    /// Closes or resets every connection, or one session's, or lets it hang. Gives how many.
    std::size_t end(afterwards how);
    std::size_t end(std::size_t session, afterwards how);
    /// Refuses new connections, as a server that is down; those that are open stay. The port remains its own.
    void stop_listening();
    void listen();

    // What it has seen. Cancel requests are no sessions: only `accepted` and `connections` count theirs too.

    struct counts {
        std::size_t accepted = 0;         ///< TCP connections so far
        std::size_t sessions = 0;         ///< StartupMessages so far
        std::size_t ready = 0;            ///< handshakes that were sent to their end
        std::size_t open = 0;             ///< sessions now: from the StartupMessage until either side has closed
        std::size_t most_open = 0;        ///< at once
        std::size_t handshakes = 0;       ///< sessions open now that are not ready
        std::size_t most_handshakes = 0;  ///< at once
        std::size_t connections = 0;      ///< TCP connections open now
        std::size_t statements = 0;
        std::size_t cancels = 0;
    };
    struct session_record {
        std::map<std::string, std::string> login;  ///< `user`, `database`, `application_name`, …
        scripted_session::cancel_request key;
        clock::time_point accepted{};
        bool ready = false;
        bool open = true;
        bool goodbye = false;  ///< the client has said Terminate
        std::vector<received_statement> statements;

        [[nodiscard]] std::vector<std::string> texts() const;
    };
    struct cancel_record {
        scripted_session::cancel_request key;
        clock::time_point when;
    };

    [[nodiscard]] counts count() const;
    [[nodiscard]] std::vector<session_record> sessions() const;
    /// Throws `std::out_of_range` if there was none of that number.
    [[nodiscard]] session_record session(std::size_t number) const;
    [[nodiscard]] std::vector<clock::time_point> accepts() const;
    [[nodiscard]] std::vector<cancel_record> cancels() const;
    /// Asks again whenever something has happened here, until it holds; false if it does not within the time.
    bool wait_for(const std::function<bool()>& holds,
                  std::chrono::milliseconds within = std::chrono::seconds{10}) const;

    /// Of a whole handshake without own parameters, in bytes.
    [[nodiscard]] static std::size_t handshake_size();

private:
    class loop;
    std::unique_ptr<loop> loop_;
};

}  // namespace trunkline::test
