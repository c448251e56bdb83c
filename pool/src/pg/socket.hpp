#pragma once

#include "fork_guard.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <memory>

namespace trunkline::pg {

enum class direction : unsigned char {
    read,   ///< something arrived, or the other end closed
    write,  ///< there is room to send
    error,  ///< the connection was reset; what arrives is not told
};

/// Whom a socket tells.
class socket_owner {
public:
    /// What was waited for has come, or the wait was given up: look. On a thread of the executor. `self` is what was
    /// given to `wait`, for the next wait.
    virtual void on_ready(direction which, std::shared_ptr<socket_owner> self) = 0;
    /// The wait will never end, because its execution context is being destroyed.
    virtual void on_abandoned() noexcept = 0;

protected:
    ~socket_owner() = default;
};

/// A second descriptor of a session's socket, on Asio's reactor. The only place that touches the descriptor once the
/// session is established: libpq reads and writes through its own. Not thread-safe: the owner's lock guards it.
/// It must live until the last wait has ended; waits hold their owner, and the owner holds it.
/// In the child of a fork it leaves the socket and the epoll set, which the parent goes on using, as they are.
class socket {
public:
    socket() = default;
    socket(const socket&) = delete;
    socket& operator=(const socket&) = delete;
    virtual ~socket() = default;

    /// Duplicates libpq's descriptor. Throws `boost::system::system_error` if the process has none left.
    static std::unique_ptr<socket> open(const boost::asio::any_io_executor& executor, int descriptor);

    [[nodiscard]] virtual bool is_open() const noexcept = 0;
    /// Waits once; at most one wait for each at a time. `owner` is told later, never inside this call.
    virtual void wait(direction which, std::shared_ptr<socket_owner> owner) = 0;
    /// After the last wait for writing: until this call, each wait for reading would wake twice. The wait for reading
    /// ends early. False if the reactor refuses; then the socket is closed.
    [[nodiscard]] virtual bool forget_writing() noexcept = 0;
    /// Leaves the reactor and closes the descriptor; the waits end soon.
    virtual void close() noexcept = 0;

    /// Tells the other end that nothing more comes.
    void finish_writing() const noexcept;
    /// Bytes that have arrived and were not read.
    [[nodiscard]] std::size_t available() const noexcept;
    /// Whether nothing more can come: the connection was reset, or the other end has closed both ways.
    [[nodiscard]] bool is_hung_up() const noexcept;
    /// Reads what has arrived and drops it. False when the other end has closed.
    [[nodiscard]] bool drain() const noexcept;

protected:
    [[nodiscard]] virtual int descriptor() const noexcept = 0;
    [[nodiscard]] bool is_inherited() const noexcept { return forked_since(born_); }

private:
    const unsigned born_ = fork_generation();
};

}  // namespace trunkline::pg
