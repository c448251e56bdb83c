#include "dial.hpp"

#include "connect_failure_text.hpp"
#include "diagnosis.hpp"

#include <boost/asio/ip/address.hpp>

#include <algorithm>
#include <random>
#include <utility>

namespace trunkline::pg {

namespace {

using std::chrono::steady_clock;

std::string_view option_of(const conninfo& where, std::string_view keyword) {
    const auto found = std::ranges::find(where.options, keyword, &conninfo::option::keyword);
    return found != where.options.end() ? std::string_view{found->value} : std::string_view{};
}

diagnostics words(std::string message) {
    diagnostics said;
    said.message = std::move(message);
    return said;
}

template <typename List>
void shuffle(List& list) {
    std::minstd_rand dice{std::random_device{}()};
    std::shuffle(list.begin(), list.end(), dice);
}

/// libpq's own messages of a connect go to stderr unless somebody takes them.
void ignore_notice(void*, const PGresult*) {}

connection_handle begin_connect(const conninfo& where, const conninfo::host& host, const std::string& address,
                                const char* session_attributes) {
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    const auto add = [&](const char* keyword, const char* value) {
        keywords.push_back(keyword);
        values.push_back(value);
    };
    for (const auto& [keyword, value] : where.options) {
        add(keyword.c_str(), value.c_str());
    }
    add("host", host.name.c_str());
    add("hostaddr", address.c_str());
    add("port", host.port.c_str());
    if (session_attributes != nullptr) {
        add("target_session_attrs", session_attributes);  // of two values libpq takes the later
    }
    add(nullptr, nullptr);
    return connection_handle{PQconnectStartParams(keywords.data(), values.data(), 0)};
}

}  // namespace

dial::dial(environment& shared, std::shared_ptr<const conninfo> where, steady_clock::time_point deadline,
           dialer::on_dialed done)
    : shared_{shared},
      where_{std::move(where)},
      deadline_{deadline},
      done_{std::move(done)},
      watched_{shared.context},
      timer_{shared.context} {}

dial::~dial() { let_go(); }

/// Every handler's body: what is thrown for want of memory ends this dial and not its thread.
template <typename Step>
void dial::attempt(Step step) noexcept {
    try {
        step();
    } catch (const std::exception&) {
        abort(pool_errc::connect_failed);
    }
}

void dial::begin() {
    attempt([this] {
        plan();
        next_candidate();
    });
}

void dial::abort(error_code why) noexcept {
    if (ended_) {
        return;
    }
    dialed aborted;
    aborted.code = why;
    try {
        aborted.said = words(why == pool_errc::closed ? "the dial was given up" : "out of memory");
    } catch (const std::bad_alloc&) {
        // Then without words.
    }
    finish(std::move(aborted));
}

void dial::plan() {
    // libpq does the same with its list of hosts, but it gets one address at a time from us.
    std::vector<const conninfo::host*> hosts;
    for (const auto& one : where_->hosts) {
        hosts.push_back(&one);
    }
    if (option_of(*where_, "load_balance_hosts") == "random") {
        shuffle(hosts);
    }
    const bool two_rounds = option_of(*where_, "target_session_attrs") == "prefer-standby" && hosts.size() > 1;
    for (const char* attributes : {two_rounds ? "standby" : nullptr, "any"}) {
        if (attributes != nullptr && !two_rounds) {
            break;
        }
        for (const auto* host : hosts) {
            candidates_.push_back({host, attributes});
        }
    }
}

void dial::next_candidate() {
    if (candidates_.empty()) {
        finish(std::move(failure_));
        return;
    }
    current_ = candidates_.front();
    candidates_.pop_front();
    const auto& host = *current_.host;
    error_code not_numeric;
    boost::asio::ip::make_address(host.name, not_numeric);
    if (host.is_local) {
        addresses_ = {""};
        next_address();
    } else if (!host.address.empty() || !not_numeric) {
        addresses_ = {host.address.empty() ? host.name : host.address};
        next_address();
    } else {
        look_up();
    }
}

void dial::look_up() {
    start_step(candidates_.size() + 1);
    shared_.resolver.async_resolve(
        current_.host->name, "",
        [self = shared_from_this(), step = step_](const error_code& failed, const auto& found) {
            --self->shared_.lookups;
            if (step == self->step_ && !self->ended_) {
                self->attempt([&] { self->on_looked_up(failed, found); });
            }
        });
    ++shared_.lookups;  // on the one thread, so before the handler
}

void dial::on_looked_up(const error_code& failed, const boost::asio::ip::tcp::resolver::results_type& found) {
    if (failed) {
        address_.clear();
        step_failed(pool_errc::host_not_found, words("host name not found: " + failed.message()));
        return;
    }
    for (const auto& entry : found) {
        auto address = entry.endpoint().address().to_string();
        if (std::ranges::find(addresses_, address) == addresses_.end()) {
            addresses_.push_back(std::move(address));
        }
    }
    if (option_of(*where_, "load_balance_hosts") == "random") {
        shuffle(addresses_);
    }
    next_address();
}

void dial::next_address() {
    if (addresses_.empty()) {
        next_candidate();
        return;
    }
    address_ = std::move(addresses_.front());
    addresses_.pop_front();
    start_step(addresses_.size() + candidates_.size() + 1);
    try_address(address_);
}

void dial::try_address(const std::string& address) {
    connection_ = begin_connect(*where_, *current_.host, address, current_.session_attributes);
    if (!connection_) {
        step_failed(pool_errc::connect_failed, words("out of memory"));
        return;
    }
    PQsetNoticeReceiver(connection_.get(), &ignore_notice, nullptr);
    PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);  // only so does the text hold the SQLSTATE
    if (PQstatus(connection_.get()) == CONNECTION_BAD) {
        step_failed(pool_errc::connect_failed, read_connect_failure(PQerrorMessage(connection_.get())));
        return;
    }
    wait(PGRES_POLLING_WRITING);
}

void dial::wait(PostgresPollingStatusType for_what) {
    error_code refused;
    watched_.assign(PQsocket(connection_.get()), refused);
    if (refused) {
        step_failed(pool_errc::connect_failed, words(refused.message()));
        return;
    }
    using boost::asio::posix::descriptor_base;
    watched_.async_wait(for_what == PGRES_POLLING_READING ? descriptor_base::wait_read : descriptor_base::wait_write,
                        [self = shared_from_this(), step = step_](const error_code&) {
                            if (step == self->step_ && !self->ended_) {
                                self->attempt([&] { self->advance(); });
                            }
                        });
}

void dial::advance() {
    // libpq may close this socket and open another, with the same number even, so Asio lets go of it before each poll.
    watched_.release();
    const auto next = PQconnectPoll(connection_.get());
    switch (next) {
    case PGRES_POLLING_READING:
    case PGRES_POLLING_WRITING: wait(next); return;
    case PGRES_POLLING_OK: connected(); return;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE: break;
    }
    auto said = read_connect_failure(PQerrorMessage(connection_.get()));
    const bool answered = sqlstate_value(said.sqlstate) > 0;
    const error_code code = answered ? code_of(said) : error_code{pool_errc::connect_failed};
    step_failed(code, std::move(said));
}

void dial::connected() {
    dialed opened;
    PQsetErrorVerbosity(connection_.get(), PQERRORS_DEFAULT);
    PQsetnonblocking(connection_.get(), 1);
    opened.connection = std::move(connection_);
    finish(std::move(opened));
}

void dial::start_step(std::size_t steps_left) {
    ++step_;
    const auto now = steady_clock::now();
    timer_.expires_at(now + (deadline_ - now) / static_cast<int>(steps_left));
    timer_.async_wait([self = shared_from_this(), step = step_](const error_code&) {
        if (step == self->step_ && !self->ended_) {
            self->attempt([&] { self->on_step_timeout(); });
        }
    });
}

void dial::on_step_timeout() {
    const bool looking_up = connection_ == nullptr;
    if (looking_up) {
        address_.clear();
    }
    step_failed(pool_errc::connect_timeout,
                words(looking_up ? "no answer to the lookup of the host's name in time" : "no answer in time"));
}

void dial::step_failed(error_code code, diagnostics said) {
    let_go();
    ++step_;
    said.message = label() + ": " + said.message;
    ++failures_;
    constexpr std::size_t most_told = 4;
    const bool answered = !said.sqlstate.empty();
    if (failures_ == 1) {
        failure_.code = code;
        failure_.said = std::move(said);
    } else {
        auto story = failures_ <= most_told ? failure_.said.message + "; " + said.message : failure_.said.message;
        if (answered || failure_.said.sqlstate.empty()) {  // what a server says tells more than a silent one
            failure_.code = code;
            failure_.said = std::move(said);
        }
        failure_.said.message = std::move(story);
    }
    const bool final_word = answered && code != sqlstate::cannot_connect_now;
    if (final_word || steady_clock::now() >= deadline_) {
        finish(std::move(failure_));
        return;
    }
    next_address();
}

void dial::let_go() noexcept {
    if (watched_.is_open()) {
        watched_.release();  // libpq closes it, Asio must not
    }
    connection_.reset();
}

void dial::finish(dialed what) {
    ended_ = true;
    let_go();
    timer_.cancel();
    const auto done = std::exchange(done_, nullptr);
    done(std::move(what));
}

std::string dial::label() const {
    const auto& host = *current_.host;
    if (host.is_local) {
        return host.name.empty() ? "the local socket, port " + host.port : host.name + "/.s.PGSQL." + host.port;
    }
    const std::string& name = host.name.empty() ? address_ : host.name;
    const std::string shown = name.find(':') == std::string::npos ? name : "[" + name + "]";
    const bool resolved = !address_.empty() && address_ != name;
    return shown + ":" + host.port + (resolved ? " (" + address_ + ")" : "");
}

}  // namespace trunkline::pg
