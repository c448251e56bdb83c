#pragma once

#include "support/tcp_port.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace trunkline::test {

/// How a proxy's session ends.
enum class proxy_end {
    close,  ///< in order: both sides read to the end
    reset,  ///< with a TCP reset on both sides
};

enum class proxy_direction { to_server, to_client };

/// What a proxy does to the bytes of one direction.
struct flow_faults {
    /// From the moment that bytes arrive until they are passed on. The end of a side is late by as much.
    std::chrono::microseconds delay{0};
    /// Bytes a second. 0: no limit.
    std::size_t bandwidth = 0;
    /// Bytes a send, each in a packet of its own. 0: as they come.
    std::size_t packet = 0;
    /// Pause between two packets: without it a reader may still find several at once.
    std::chrono::microseconds packet_gap{0};
    /// Passes nothing on, neither bytes nor an end. The session stays open, also when a side has gone.
    bool stopped = false;
    /// Ends the session when so many bytes of this direction have been passed on, counted from its start.
    std::optional<std::uint64_t> cut_at{};
    proxy_end cut_by = proxy_end::close;
};

/// Both directions.
struct line_faults {
    flow_faults to_server{};
    flow_faults to_client{};
};

/// What sessions have carried.
struct session_counts {
    std::uint64_t to_server = 0;    ///< bytes passed on to the server
    std::uint64_t to_client = 0;    ///< bytes passed on to clients
    std::uint64_t from_client = 0;  ///< bytes read from clients, passed on or not
    std::uint64_t bursts = 0;       ///< times that a client spoke first, or after the server had: round trips

    session_counts& operator+=(const session_counts& more) noexcept {
        to_server += more.to_server;
        to_client += more.to_client;
        from_client += more.from_client;
        bursts += more.bursts;
        return *this;
    }
};

/// One direction of a proxied session: from one socket that does not block into another.
class proxy_flow {
public:
    using clock = std::chrono::steady_clock;

    /// What became of an attempt to pass bytes on.
    enum class outcome {
        going,   ///< the session goes on
        cut,     ///< `cut_at` is reached
        broken,  ///< a side has reset its connection
    };

    /// Takes in what has arrived, up to a limit. Gives the number of bytes.
    std::size_t receive(int from, clock::time_point now);
    /// What `receive` has taken in last.
    [[nodiscard]] std::string_view latest() const noexcept {
        return chunks_.empty() ? std::string_view{} : chunks_.back().bytes;
    }
    /// Passes on what is due.
    outcome send(int to, clock::time_point now);
    /// Passes on the end at once and nothing after it.
    void end(int to) noexcept;

    [[nodiscard]] bool wants_input() const noexcept {
        return !input_ended_ && !broken_ && !faults.stopped && waiting_ < limit;
    }
    /// Something is due that the other side has no room for.
    [[nodiscard]] bool wants_room() const noexcept { return no_room_; }
    /// When there is something to do without anything arriving.
    [[nodiscard]] std::optional<clock::time_point> due() const;
    [[nodiscard]] bool ended() const noexcept { return output_ended_; }
    [[nodiscard]] std::uint64_t passed() const noexcept { return passed_; }

    flow_faults faults;

private:
    static constexpr std::size_t limit = std::size_t{1} << 18;

    struct chunk {
        clock::time_point arrived;
        std::string bytes;  // empty: the end
    };

    [[nodiscard]] std::size_t next_size() const;
    void drop(std::size_t bytes);
    void pace(std::size_t sent, clock::time_point now);

    std::deque<chunk> chunks_;
    std::size_t sent_of_first_ = 0;
    std::size_t waiting_ = 0;  // bytes in chunks_
    std::uint64_t passed_ = 0;
    clock::time_point next_send_{};
    bool input_ended_ = false;
    bool broken_ = false;
    bool output_ended_ = false;
    bool no_room_ = false;
};

/// One client's connection and the server's. Used by the proxy's thread alone.
class proxy_session {
public:
    using clock = proxy_flow::clock;

    /// Takes an accepted connection over and begins to connect to the target.
    proxy_session(int client, std::uint16_t target, const line_faults& faults);

    void set(const line_faults& faults);
    /// Passes on what is due.
    void pump(clock::time_point now);
    void receive(clock::time_point now, bool client_ready, bool server_ready);
    void half_close(proxy_direction direction) noexcept;
    void end(proxy_end how) noexcept;

    [[nodiscard]] int client() const noexcept { return client_.get(); }
    [[nodiscard]] int server() const noexcept { return server_.get(); }
    /// What to poll a side for; 0: nothing, not even its failure.
    [[nodiscard]] short client_events() const noexcept;
    [[nodiscard]] short server_events() const noexcept;
    [[nodiscard]] std::optional<clock::time_point> due() const;

    [[nodiscard]] bool open() const noexcept { return client_.open(); }
    /// The server has neither said that it is ready nor refused.
    [[nodiscard]] bool in_handshake() const noexcept { return open() && !ready_ && !to_client_.ended(); }
    [[nodiscard]] session_counts counts() const noexcept {
        return {to_server_.passed(), to_client_.passed(), from_client_, bursts_};
    }

private:
    void look_for_ready(std::string_view said);

    descriptor client_;
    descriptor server_;
    proxy_flow to_server_;
    proxy_flow to_client_;
    std::uint64_t from_client_ = 0;
    std::uint64_t bursts_ = 0;
    bool client_spoke_last_ = false;
    std::string unready_;  // the last bytes of the server's before it was ready
    bool ready_ = false;
};

}  // namespace trunkline::test
