#pragma once

#include "support/server_script.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trunkline::test {

/// A statement that was to be executed, as the server received it.
struct received_statement {
    std::size_t session = 0;  ///< the session's number
    std::string text;
    std::vector<wire::cell> values;  ///< as they were sent, text or binary
    bool simple = false;             ///< by a Query message, and so without values
    /// The burst it came in, from 1: a burst ends when the server sends something. Statements of one burst cost the
    /// client one round trip at most.
    std::size_t flight = 0;
    std::chrono::steady_clock::time_point when{};
};

/// The server's side of one connection as a state machine without I/O: bytes come in, and what is to be sent goes to a
/// queue. It is the caller who sends, waits, closes.
class scripted_session {
public:
    /// A piece of output; `delay` counts from the moment when it is the first in the queue.
    struct chunk {
        std::string bytes{};
        std::chrono::milliseconds delay{0};
        afterwards then = afterwards::serve;
        bool until_cancelled = false;  ///< waits until the caller takes this back
        bool is_handshake = false;     ///< the session is ready when this is sent
        bool is_answer = false;        ///< to a statement
    };
    struct cancel_request {
        std::int32_t pid = 0;
        std::int32_t key = 0;

        bool operator==(const cancel_request&) const = default;
    };
    /// What some bytes were about.
    struct news {
        std::optional<std::map<std::string, std::string>> login;  ///< the StartupMessage's parameters
        std::optional<cancel_request> cancel;
        std::vector<received_statement> statements;
        bool goodbye = false;  ///< Terminate came
    };
    /// Called for each execution, in order.
    using answerer = std::function<answer(const received_statement&)>;

    /// `own` is what the handshake tells as the key for cancel requests.
    scripted_session(answerer by, cancel_request own) : answer_to_{std::move(by)}, own_{own} {}

    /// Throws `std::runtime_error` at bytes that are not the protocol, or a part of it that is not spoken here.
    news receive(std::string_view bytes);
    /// Answers the StartupMessage, after `receive` has told of it.
    void greet(std::size_t number, const greeting& how);
    /// Something of `output` was sent: the burst is over.
    void on_sent() noexcept { answered_ = true; }

    std::deque<chunk>& output() noexcept { return output_; }
    [[nodiscard]] const cancel_request& own_key() const noexcept { return own_; }

private:
    /// A statement that is bound: what will be answered.
    struct portal {
        std::string text;
        answer with;
        bool binary = false;
    };

    bool begin(news& about);
    void take(const wire::message& what, news& about);
    void query(std::string_view body, news& about);
    void bind(std::string_view body, news& about);
    void describe(std::string_view body);
    void execute(std::string_view body);
    void sync();
    answer ask(received_statement what, news& about);
    /// Whether `with` is something else than a result; if so it is sent.
    bool cut_short(const answer& with);
    void fail(const answer& with);
    void send_result(const portal& of);
    void send(std::string bytes);
    void send_apart(chunk what);

    answerer answer_to_;
    cancel_request own_;
    std::size_t number_ = 0;
    std::string input_;
    std::deque<chunk> output_;
    std::map<std::string, std::string> prepared_;
    std::map<std::string, portal> portals_;
    wire::transaction state_ = wire::transaction::none;
    std::size_t flight_ = 0;
    bool answered_ = true;
    bool begun_ = false;
    bool skip_to_sync_ = false;
    bool next_sync_is_silent_ = false;
};

/// The bytes of a whole handshake.
std::string handshake_bytes(const scripted_session::cancel_request& key, const server_parameters& parameters);

}  // namespace trunkline::test
