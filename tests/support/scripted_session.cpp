#include "support/scripted_session.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <utility>

namespace trunkline::test {

namespace {

constexpr std::int32_t protocol_3_0 = 196'608;
constexpr std::int32_t cancel_code = 80'877'102;
constexpr std::int32_t tls_code = 80'877'103;
constexpr std::int32_t gss_code = 80'877'104;

std::string first_word(std::string_view sql) {
    std::string word;
    for (const char c : sql.substr(std::min(sql.find_first_not_of(" \n\t"), sql.size()))) {
        if (std::isalpha(static_cast<unsigned char>(c)) == 0) {
            break;
        }
        word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return word;
}

std::string tag_of(const std::string& sql, const answer& with) {
    if (!with.tag.empty()) {
        return with.tag;
    }
    const auto word = first_word(sql);
    const auto rows = std::to_string(with.rows.size());
    return word == "SELECT" ? "SELECT " + rows : word == "INSERT" ? "INSERT 0 " + rows : word;
}

wire::transaction after(wire::transaction before, const std::string& sql) {
    const auto word = first_word(sql);
    if (word == "BEGIN" || word == "START") {
        return wire::transaction::open;
    }
    const bool ends = word == "COMMIT" || word == "END" || word == "ROLLBACK" || word == "ABORT";
    return ends ? wire::transaction::none : before;
}

std::size_t columns_of(const answer& with) {
    return with.columns == 0 && !with.rows.empty() ? with.rows.front().size() : with.columns;
}

}  // namespace

std::string handshake_bytes(const scripted_session::cancel_request& key, const server_parameters& parameters) {
    server_parameters all = {
        {"server_version", "15.0"},
        {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},
        {"in_hot_standby", "off"},
        {"default_transaction_read_only", "off"},
        {"standard_conforming_strings", "on"},
        {"integer_datetimes", "on"},
        {"DateStyle", "ISO, MDY"},
        {"TimeZone", "Etc/UTC"},
    };
    for (const auto& [name, value] : parameters) {
        std::erase_if(all, [&name = name](const auto& one) { return one.first == name; });
        all.emplace_back(name, value);
    }
    std::string bytes = wire::authentication_ok();
    for (const auto& [name, value] : all) {
        bytes += wire::parameter_status(name, value);
    }
    return bytes + wire::backend_key(key.pid, key.key) + wire::ready(wire::transaction::none);
}

scripted_session::news scripted_session::receive(std::string_view bytes) {
    if (answered_) {
        ++flight_;
        answered_ = false;
    }
    input_ += bytes;
    news about;
    while (!begun_ && begin(about)) {
    }
    if (!begun_) {
        return about;
    }
    std::string_view rest = input_;
    while (const auto whole = wire::take_message(rest)) {
        take(*whole, about);
    }
    input_.erase(0, input_.size() - rest.size());
    return about;
}

bool scripted_session::begin(news& about) {
    std::string_view rest = input_;
    auto body = wire::take_startup(rest);
    if (!body) {
        return false;
    }
    switch (wire::take_int4(*body)) {
    case tls_code:
    case gss_code: send("N"); break;
    case cancel_code: {
        const auto pid = wire::take_int4(*body);
        about.cancel = {pid, wire::take_int4(*body)};
        begun_ = true;
        send_apart({.then = afterwards::close});
        break;
    }
    case protocol_3_0: {
        auto& login = about.login.emplace();
        for (auto name = wire::take_text(*body); !name.empty(); name = wire::take_text(*body)) {
            login[name] = wire::take_text(*body);
        }
        begun_ = true;
        flight_ = 0;
        break;
    }
    default: throw std::runtime_error{"a protocol that is not spoken here"};
    }
    input_.erase(0, input_.size() - rest.size());
    return true;
}

void scripted_session::greet(std::size_t number, const greeting& how) {
    number_ = number;
    auto bytes = how.instead ? *how.instead : handshake_bytes(own_, how.parameters);
    const bool whole = !how.instead && how.stop_at >= bytes.size();
    bytes.resize(std::min(bytes.size(), how.stop_at));
    send_apart({.bytes = std::move(bytes), .delay = how.delay, .then = how.then, .is_handshake = whole});
}

void scripted_session::take(const wire::message& what, news& about) {
    if (skip_to_sync_ && what.kind != 'S' && what.kind != 'X') {
        return;
    }
    auto body = what.body;
    switch (what.kind) {
    case 'Q': query(body, about); return;
    case 'P': {
        const auto name = wire::take_text(body);
        prepared_[name] = wire::take_text(body);
        send(wire::bare('1'));
        return;
    }
    case 'B': bind(body, about); return;
    case 'D': describe(body); return;
    case 'E': execute(body); return;
    case 'C': send(wire::bare('3')); return;
    case 'H': return;  // Flush: nothing is held back
    case 'd': return;  // COPY's data
    case 'c': send(wire::command_complete("COPY 0")); return;
    case 'f': send(wire::error_response({"ERROR", "57014", "COPY from stdin failed"})); return;
    case 'S': sync(); return;
    case 'X':
        about.goodbye = true;
        send_apart({.then = afterwards::close});
        return;
    default: throw std::runtime_error{std::string{"a message that is not spoken here: "} + what.kind};
    }
}

answer scripted_session::ask(received_statement what, news& about) {
    what.session = number_;
    what.flight = flight_;
    what.when = std::chrono::steady_clock::now();
    auto with = answer_to_(what);
    about.statements.push_back(std::move(what));
    return with;
}

void scripted_session::query(std::string_view body, news& about) {
    received_statement what;
    what.text = wire::take_text(body);
    what.simple = true;
    portal asked{what.text, {}, false};
    asked.with = ask(std::move(what), about);
    if (cut_short(asked.with)) {
        skip_to_sync_ = false;  // no Sync follows a Query
        if (std::exchange(next_sync_is_silent_, false)) {
            return;
        }
    } else {
        if (const auto columns = columns_of(asked.with); columns > 0) {
            send(wire::row_description(columns, asked.with.type, false));
        }
        send_result(asked);
    }
    send(wire::ready(state_));
}

void scripted_session::bind(std::string_view body, news& about) {
    const auto name = wire::take_text(body);
    received_statement what;
    what.text = prepared_[wire::take_text(body)];
    for (auto formats = wire::take_int2(body); formats > 0; --formats) {
        wire::take_int2(body);
    }
    for (auto values = static_cast<std::uint16_t>(wire::take_int2(body)); values > 0; --values) {
        what.values.push_back(wire::take_value(body));
    }
    const bool binary = wire::take_int2(body) > 0 && wire::take_int2(body) == 1;
    portal bound{what.text, {}, binary};
    bound.with = ask(std::move(what), about);
    if (!cut_short(bound.with)) {
        send(wire::bare('2'));
        portals_[name] = std::move(bound);
    }
}

bool scripted_session::cut_short(const answer& with) {
    if (with.delay.count() > 0) {
        send_apart({.delay = with.delay, .is_answer = true});
    }
    if (!with.instead && !with.error && !with.until_cancelled) {
        return false;
    }
    skip_to_sync_ = true;
    if (with.instead) {
        next_sync_is_silent_ = true;
        send_apart({.bytes = *with.instead, .then = with.then, .is_answer = true});
    } else {
        fail(with);
    }
    return true;
}

void scripted_session::fail(const answer& with) {
    const wire::report cancelled{"ERROR", "57014", "canceling statement due to user request"};
    const auto& says = with.error ? *with.error : cancelled;
    if (state_ == wire::transaction::open) {
        state_ = wire::transaction::failed;
    }
    const bool last = says.severity == "FATAL" || says.severity == "PANIC";
    send_apart({.bytes = wire::error_response(says),
                .then = last ? afterwards::close : with.then,
                .until_cancelled = with.until_cancelled,
                .is_answer = true});
}

void scripted_session::describe(std::string_view body) {
    if (body.starts_with('S')) {
        send(wire::no_parameters() + wire::bare('n'));
        return;
    }
    body.remove_prefix(1);
    const auto& bound = portals_[wire::take_text(body)];
    const auto columns = columns_of(bound.with);
    send(columns == 0 ? wire::bare('n') : wire::row_description(columns, bound.with.type, bound.binary));
}

void scripted_session::execute(std::string_view body) { send_result(portals_[wire::take_text(body)]); }

void scripted_session::send_result(const portal& of) {
    for (const auto& row : of.with.rows) {
        send(wire::data_row(row, of.with.type, of.binary));
    }
    state_ = after(state_, of.text);
    send(of.text.empty() ? wire::bare('I') : wire::command_complete(tag_of(of.text, of.with)));
    if (of.with.then != afterwards::serve) {
        send_apart({.then = of.with.then, .is_answer = true});
    }
}

void scripted_session::sync() {
    skip_to_sync_ = false;
    if (!std::exchange(next_sync_is_silent_, false)) {
        send(wire::ready(state_));
    }
}

void scripted_session::send(std::string bytes) {
    const bool joins = !output_.empty() && output_.back().is_answer && !output_.back().until_cancelled &&
                       output_.back().then == afterwards::serve;
    if (joins) {
        output_.back().bytes += bytes;
    } else {
        output_.push_back({.bytes = std::move(bytes), .is_answer = begun_});
    }
}

void scripted_session::send_apart(chunk what) { output_.push_back(std::move(what)); }

}  // namespace trunkline::test
