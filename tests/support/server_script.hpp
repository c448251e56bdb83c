#pragma once

#include "support/wire.hpp"

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

/// What a `scripted_server` does: plain values, and functions that name the usual ones.
namespace trunkline::test {

/// What becomes of a connection when the scripted bytes are sent.
enum class afterwards {
    serve,  ///< it goes on
    hang,   ///< it stays open, and nothing is answered any more
    close,  ///< FIN
    reset,  ///< RST
};

using server_parameters = std::vector<std::pair<std::string, std::string>>;

/// How a session's start is met, once its StartupMessage is there.
struct greeting {
    static constexpr std::size_t all_of_it = std::numeric_limits<std::size_t>::max();

    server_parameters parameters{};        ///< told in the handshake beside or instead of the usual ones
    std::optional<std::string> instead{};  ///< bytes to send instead of the handshake
    std::size_t stop_at = all_of_it;       ///< bytes of it that are sent
    afterwards then = afterwards::serve;
    std::chrono::milliseconds delay{0};  ///< before the first byte
};

/// A whole handshake: AuthenticationOk, ParameterStatus, BackendKeyData, ReadyForQuery.
inline greeting accepts() { return {}; }
/// FATAL with that SQLSTATE, and FIN.
inline greeting refuses(const std::string& sqlstate, const std::string& message) {
    return {.instead = wire::error_response({"FATAL", sqlstate, message}), .then = afterwards::close};
}
inline greeting silent() { return {.stop_at = 0, .then = afterwards::hang}; }
/// Any bytes instead of the handshake.
inline greeting sends(std::string bytes, afterwards then = afterwards::hang) {
    return {.instead = std::move(bytes), .then = then};
}
/// The handshake's first bytes.
inline greeting stops_at(std::size_t byte, afterwards then) { return {.stop_at = byte, .then = then}; }

/// How a statement is answered.
struct answer {
    std::vector<wire::row> rows{};         ///< all as long as the first
    std::size_t columns = 0;               ///< 0: as many as the first row has; none at all: no result set
    wire::type type = wire::type::text;    ///< of every column
    std::string tag{};                     ///< of CommandComplete; empty: from the statement's first word
    std::optional<wire::report> error{};   ///< instead of a result; FATAL and PANIC end the connection
    bool until_cancelled = false;          ///< nothing until a cancel request for the session comes: then 57014
    std::optional<std::string> instead{};  ///< bytes instead of the answer and of its ReadyForQuery
    std::chrono::milliseconds delay{0};    ///< before the first byte, and so before all that follows
    afterwards then = afterwards::serve;   ///< after the answer, before its ReadyForQuery
};

inline answer one_row(int value) { return {.rows = {{std::to_string(value)}}, .type = wire::type::int4}; }
inline answer one_row(bool value) { return {.rows = {{value ? "t" : "f"}}, .type = wire::type::boolean}; }
inline answer one_row(const char* value) { return {.rows = {{value}}}; }
/// A result set without rows.
inline answer no_rows() { return {.columns = 1}; }
/// No result set, as of BEGIN.
inline answer done() { return {}; }
inline answer fails(const std::string& sqlstate, const std::string& message, const std::string& severity = "ERROR") {
    return {.error = wire::report{severity, sqlstate, message}};
}
inline answer never() { return {.instead = "", .then = afterwards::hang}; }
inline answer runs_until_cancelled() { return {.until_cancelled = true}; }
/// Some bytes, or none, instead of an answer.
inline answer sends_back(std::string bytes, afterwards then) { return {.instead = std::move(bytes), .then = then}; }

}  // namespace trunkline::test
