#pragma once

#include <trunkline/error.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace trunkline {

/// How a statement was run.
enum class statement_kind : unsigned char {
    query,      ///< by itself; BEGIN, COMMIT and the like too
    pipelined,  ///< as a part of a pipeline
    stream,     ///< its rows one after another
    copy_in,    ///< COPY … FROM STDIN
    copy_out,   ///< COPY … TO STDOUT
};

/// One statement of the program's that has ended. Its views and references are valid during the call.
struct statement_report {
    statement_kind kind = statement_kind::query;
    std::string_view statement;         ///< its text; its parameters are not told
    std::string_view trace_parent;      ///< `query_options::trace_parent`; empty: none
    int backend_pid = 0;                ///< of its session
    std::chrono::nanoseconds took{};    ///< from the call to the outcome; of a pipeline's, of all of it
    std::chrono::nanoseconds waited{};  ///< of that, until it was sent: for what was left of another one
    std::uint64_t rows = 0;             ///< that it gave, or touched
    error_code code;          ///< none: it succeeded; `operation_aborted`: cancelled, or a stream that was stopped
    const diagnostics& said;  ///< with an error
};

/// What is told of each statement. It is called on a thread of the pool's executor, or on the one that ends a stream or a
/// COPY, under no lock and before the caller goes on: it must be quick. What it throws is logged and harms nothing.
using statement_hook = std::function<void(const statement_report&)>;

}  // namespace trunkline
