#include "socket.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/system/system_error.hpp>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <new>
#include <optional>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace trunkline::pg {

namespace {

using boost::system::error_code;

/// Room for the reactor's record of one wait, used again for each: the steady state allocates nothing.
struct handler_memory {
    alignas(std::max_align_t) std::byte bytes[224];  // 136 on an io_context, 216 on any other executor
};

template <typename T>
struct handler_allocator {
    using value_type = T;

    explicit handler_allocator(handler_memory* room) noexcept : memory{room} {}
    template <typename U>
    explicit(false) handler_allocator(const handler_allocator<U>& other) noexcept : memory{other.memory} {}

    T* allocate(std::size_t count) {
        if (count * sizeof(T) <= sizeof(memory->bytes)) {
            return reinterpret_cast<T*>(memory->bytes);
        }
        return static_cast<T*>(::operator new(count * sizeof(T)));
    }
    void deallocate(T* record, std::size_t) noexcept {
        if (reinterpret_cast<std::byte*>(record) != memory->bytes) {
            ::operator delete(record);
        }
    }
    bool operator==(const handler_allocator&) const noexcept = default;

    handler_memory* memory;
};

/// Tells the owner exactly once: that the wait has ended, or that it never will.
class ready_handler {
public:
    using allocator_type = handler_allocator<std::byte>;

    ready_handler(direction which, std::shared_ptr<socket_owner> owner, handler_memory& memory) noexcept
        : which_{which},
          owner_{std::move(owner)},
          memory_{&memory} {}
    ready_handler(ready_handler&&) noexcept = default;
    ready_handler& operator=(ready_handler&&) = delete;
    ~ready_handler() {
        if (owner_) {
            owner_->on_abandoned();
        }
    }

    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type{memory_}; }

    void operator()(const error_code&) {
        auto& owner = *owner_;
        owner.on_ready(which_, std::move(owner_));
    }

private:
    direction which_;
    std::shared_ptr<socket_owner> owner_;
    handler_memory* memory_;
};

template <typename Executor>
class asio_socket final : public socket {
public:
    asio_socket(const Executor& executor, int descriptor) : descriptor_{std::in_place, executor, descriptor} {}
    ~asio_socket() override { asio_socket::close(); }

    [[nodiscard]] bool is_open() const noexcept override { return descriptor_.has_value(); }

    void wait(direction which, std::shared_ptr<socket_owner> owner) override {
        using boost::asio::posix::descriptor_base;
        assert(is_open());
        switch (which) {
        case direction::read:
            descriptor_->async_wait(descriptor_base::wait_read, ready_handler{which, std::move(owner), read_memory_});
            break;
        case direction::write:
            descriptor_->async_wait(descriptor_base::wait_write, ready_handler{which, std::move(owner), write_memory_});
            break;
        case direction::error:
            descriptor_->async_wait(descriptor_base::wait_error, ready_handler{which, std::move(owner), error_memory_});
            break;
        }
    }

    [[nodiscard]] bool forget_writing() noexcept override {
        const int number = descriptor_->release();
        error_code refused;
        descriptor_->assign(number, refused);
        if (refused) {
            descriptor_.reset();
            ::close(number);
        }
        return !refused;
    }

    void close() noexcept override {
        if (!descriptor_) {
            return;
        }
        if (is_inherited()) {
            // Asio would take the descriptor out of the epoll set, which is the parent's too: leak Asio's record.
            const int mine = descriptor_->native_handle();
            [[maybe_unused]] const auto* leaked = new (std::nothrow) descriptor_type{std::move(*descriptor_)};
            descriptor_.reset();
            ::close(mine);
            return;
        }
        // Asio's close relies on the kernel to take a closed descriptor out of the epoll set, which it does not do while
        // libpq's descriptor of the same socket is open: `release` takes it out.
        const int number = descriptor_->release();
        descriptor_.reset();  // not later: the owner may live longer than the reactor
        ::close(number);
    }

protected:
    [[nodiscard]] int descriptor() const noexcept override {
        // native_handle() is not const, though it changes nothing.
        return const_cast<std::optional<descriptor_type>&>(descriptor_)->native_handle();
    }

private:
    using descriptor_type = boost::asio::posix::basic_stream_descriptor<Executor>;

    handler_memory read_memory_;
    handler_memory write_memory_;
    handler_memory error_memory_;
    std::optional<descriptor_type> descriptor_;
};

}  // namespace

std::unique_ptr<socket> socket::open(const boost::asio::any_io_executor& executor, int descriptor) {
    const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        throw boost::system::system_error{error_code{errno, boost::system::system_category()},
                                          "duplicating a connection"};
    }
    try {
        // Through a type-erased executor each wait would copy it three times and track work: 0.2 µs a query.
        if (const auto* context = executor.target<boost::asio::io_context::executor_type>()) {
            return std::make_unique<asio_socket<boost::asio::io_context::executor_type>>(*context, copy);
        }
        return std::make_unique<asio_socket<boost::asio::any_io_executor>>(executor, copy);
    } catch (...) {
        ::close(copy);
        throw;
    }
}

void socket::finish_writing() const noexcept {
    if (!is_inherited()) {
        ::shutdown(descriptor(), SHUT_WR);
    }
}

std::size_t socket::available() const noexcept {
    int bytes = 0;
    return ::ioctl(descriptor(), FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool socket::is_hung_up() const noexcept {
    ::pollfd one{.fd = descriptor(), .events = 0, .revents = 0};
    return ::poll(&one, 1, 0) == 1 && (one.revents & (POLLERR | POLLHUP)) != 0;
}

bool socket::drain() const noexcept {
    // So much at a time that a fast sender cannot hold the thread: the reactor calls again.
    constexpr int most_reads = 16;
    std::byte dropped[16'384];
    for (int i = 0; i < most_reads; ++i) {
        const auto got = ::recv(descriptor(), dropped, sizeof(dropped), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            return false;
        }
        if (got < 0 && errno != EINTR) {
            return true;
        }
    }
    return true;
}

}  // namespace trunkline::pg
