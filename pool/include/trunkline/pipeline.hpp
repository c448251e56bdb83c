#pragma once

#include <trunkline/error.hpp>
#include <trunkline/parameters.hpp>
#include <trunkline/result.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace trunkline {

namespace detail {
struct pipeline_access;
}

/// How far a statement of a pipeline has come.
enum class delivery : unsigned char {
    answered,  ///< it failed, or it was committed (or stands in a transaction of yours): see its code
    not_sent,  ///< the server never had it whole: it did not run, and can be sent again
    unknown,   ///< it was sent, and nobody knows whether it was committed, or will be
};

/// What became of one statement of a pipeline.
struct statement_outcome {
    delivery how = delivery::not_sent;
    error_code code;   ///< none: it succeeded
    diagnostics said;  ///< with an error
    result rows;       ///< without one

    /// Its rows. Throws its `error`, if it has one.
    [[nodiscard]] const result& value() const&;
    [[nodiscard]] result value() &&;
};

/// For a pipeline.
struct pipeline_options {
    /// One implicit transaction: where a statement fails, or their common commit, those before it are undone and those
    /// behind it do not run (`pool_errc::pipeline_aborted`). BEGIN and COMMIT do not belong in there. Otherwise each
    /// statement stands alone.
    bool atomic = false;
    /// Over all of it, from the call to the last answer; then as for a statement (`query_options`). 0: `query.timeout`.
    std::chrono::milliseconds timeout{0};
};

/// Statements that are sent behind one another without waiting for the answers, so that all of them together take one
/// round trip: `connection::run`. The server runs them in order. A plain value; not thread-safe.
///
/// At most 256 are under way at a time, with 1 MiB that the network has not taken yet: then the next waits for an answer,
/// or for room. Their statements are not prepared. COPY cannot stand in a pipeline: nothing of such a pipeline is sent
/// (`pool_errc::unsupported_statement`).
class pipeline {
public:
    pipeline() noexcept;
    pipeline(const pipeline&);
    pipeline(pipeline&&) noexcept;
    pipeline& operator=(const pipeline&);
    pipeline& operator=(pipeline&&) noexcept;
    ~pipeline();

    /// Appends a statement with its parameters `$1 …`; both are copied. Throws `error` for parameters that cannot be sent
    /// (`invalid_value`, `too_large` …).
    template <typename... Args>
    pipeline& add(std::string_view sql, const Args&... args) {
        append(sql, detail::collect<const Args&...>(args...));
        return *this;
    }

    [[nodiscard]] std::size_t size() const noexcept { return statements_.size(); }
    [[nodiscard]] bool empty() const noexcept { return statements_.empty(); }
    void clear() noexcept { statements_.clear(); }

private:
    friend struct detail::pipeline_access;
    struct statement {
        std::string sql;
        parameters values;
    };
    void append(std::string_view sql, parameters values);

    std::vector<statement> statements_;
};

/// A statement of a pipeline failed: the first that did. Its code and words are those of that statement.
class pipeline_error : public error {
public:
    /// `sql`: the text of the statement with that number.
    pipeline_error(std::size_t number, std::string_view sql, std::vector<statement_outcome> outcomes);

    /// The statement's number, from 0.
    [[nodiscard]] std::size_t number() const noexcept { return number_; }
    /// Of all statements, in order.
    [[nodiscard]] const std::vector<statement_outcome>& outcomes() const noexcept { return *outcomes_; }

private:
    std::size_t number_;
    std::shared_ptr<const std::vector<statement_outcome>> outcomes_;  // shared, so that copying cannot throw
};

}  // namespace trunkline
