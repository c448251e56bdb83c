#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace trunkline::detail {

/// Room for the queue's node of one handler at a time, so that it can be posted without memory too: give the handler's
/// executor `allocator<std::byte>`. If the room is taken, or too small, memory is asked for as ever. The queue gives the
/// room back before it calls the handler, so that the room may go inside the call.
template <std::size_t Size>
class handler_room {
public:
    template <typename T>
    struct allocator {
        using value_type = T;
        template <typename U>
        struct rebind {
            using other = allocator<U>;
        };

        explicit allocator(handler_room& room) noexcept : from{&room} {}
        template <typename U>
        explicit(false) allocator(const allocator<U>& other) noexcept : from{other.from} {}

        T* allocate(std::size_t count) {
            if (count * sizeof(T) <= Size && alignof(T) <= alignof(void*) &&
                !from->taken_.exchange(true, std::memory_order_acquire)) {
                return reinterpret_cast<T*>(from->bytes_);
            }
            return std::allocator<T>{}.allocate(count);
        }
        void deallocate(T* node, std::size_t count) noexcept {
            if (reinterpret_cast<std::byte*>(node) == from->bytes_) {
                from->taken_.store(false, std::memory_order_release);
            } else {
                std::allocator<T>{}.deallocate(node, count);
            }
        }
        bool operator==(const allocator&) const noexcept = default;

        handler_room* from;
    };

private:
    alignas(void*) std::byte bytes_[Size];
    std::atomic<bool> taken_{false};
};

}  // namespace trunkline::detail
