#pragma once

#include "history.hpp"
#include "model.hpp"
#include "scenario.hpp"

#include <deque>
#include <vector>

namespace simulation {

/// One run: a machine, the face that drives it, a server, clients, and the model that watches. Time is virtual; what
/// happens next is drawn from the seed among what may happen next, so that commands are carried out late and in any
/// order, as they are with several threads.
class world {
public:
    world(std::uint64_t seed, history::mode how);
    world(const world&) = delete;
    world& operator=(const world&) = delete;
    ~world();

    /// Throws `violation` when a rule is broken.
    void run();

    [[nodiscard]] const history& past() const noexcept { return past_; }
    [[nodiscard]] std::size_t steps() const noexcept { return steps_ + ticks_; }

private:
    enum class kind : unsigned char {
        tick,
        begin,
        give_up,
        told,
        give_back,
        nest,  // clients
        dial,
        work,
        close,  // commands
        dial_ends,
        dial_aborted,
        hook_starts,
        task_ends,
        server_let_go,
        closed,  // their answers
        dies,
        lost,  // sessions that end by themselves
        server_changes,
        meddle,
        resume,
    };

    /// Something that will happen.
    struct happening {
        time_point at;
        std::uint64_t tie;
        kind what;
        void* whom;
        std::uint64_t serial;  ///< of the client's call or of the line's session: else it is an old story
    };

    /// Where the server stands.
    enum class weather : unsigned char { up, down, refusing, full, starting, misconfigured, silent };

    struct client {
        call now;
        std::size_t number = 0;
        std::uint64_t serial = 0;  ///< counts its calls
        core::slot* lease = nullptr;
        core::slot* outer = nullptr;  ///< held while it asks for a second one
        bool busy = false;            ///< in a call, or holding
        bool gone = false;            ///< gave up: what is granted goes back at once
    };

    /// One session as the server sees it.
    struct session {
        bool on_server = false;
        bool dialing = false;  ///< the face owes an answer
    };

    // world.cpp: time
    void later(kind what, std::chrono::nanoseconds delay, void* whom = nullptr, std::uint64_t serial = 0);
    std::chrono::nanoseconds up_to(microseconds longest);
    bool step();
    void happen(const happening& h);
    void tick();
    void act(const event& e);
    void tell_machine(const event& e, core::actions& out);
    void carry_out(core::actions& out);
    void put_off(line& l, const core::command& command);
    void arm(core::time_point wake);
    void check_server() const;
    void note_limits();
    void note_decisions(const core::actions& out);
    void settle_down();
    void announce_close();
    void abort_dials();
    void shut_down();

    // world_clients.cpp
    void begin(client& c);
    void queue_up(client& c);
    void give_up(client& c);
    void told(client& c);
    void hold(client& c, core::slot& s);
    void give_back(client& c);
    void nest(client& c);
    void return_one(client& c, core::slot& s);

    // world_meddling.cpp
    void meddle();
    void resume();

    // world_server.cpp
    session& session_of(const line& l);
    void dial(line& l);
    void dial_ends(line& l);
    void dial_aborted(line& l);
    void work(line& l);
    [[nodiscard]] microseconds time_for(const line& l) const;
    void hook_starts(line& l);
    void task_ends(line& l);
    [[nodiscard]] core::verdict verdict_on(const line& l);
    void close(line& l);
    void let_go(line& l);
    void dies(line& l);
    void server_changes();

    dice dice_;
    scenario plan_;
    history past_;
    core::machine machine_;
    model model_;
    std::deque<client> clients_;
    std::vector<happening> heap_;
    std::vector<session> sessions_;  // by the line's number
    time_point now_;
    time_point armed_ = core::never;
    weather weather_ = weather::up;
    std::size_t steps_ = 0;
    std::size_t ticks_ = 0;
    std::size_t on_server_ = 0;
    std::size_t highest_max_ = 0;
    bool calm_ = false;  // no new calls, the server is up
    bool closed_ = false;
    bool hook_runs_ = false;  // the machine's answer to the last `hook_begins`
};

}  // namespace simulation
