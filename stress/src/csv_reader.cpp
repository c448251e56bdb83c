#include "csv_reader.hpp"

#include <algorithm>

namespace trunkline::stress {

namespace {
constexpr std::size_t chunk = std::size_t{64} << 10;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
}  // namespace

csv_reader::csv_reader(std::istream& in, std::size_t record_limit) : in_{in}, limit_{record_limit} {}

csv_reader::outcome csv_reader::read_header() {
    if (available(byte_order_mark.size() - 1) && std::string_view{buffer_}.starts_with(byte_order_mark)) {
        start_ = byte_order_mark.size();
    }
    skip_blank_lines();
    record_line_ = next_line_;
    switch (parse_record()) {
    case parsed::end: return outcome::end;
    case parsed::broken: return outcome::malformed;
    case parsed::record: break;
    }
    consume(record_end_ - start_);
    header_.assign(fields_.begin(), fields_.end());
    return outcome::record;
}

std::optional<std::size_t> csv_reader::column(std::string_view name) const {
    const auto found = std::find(header_.begin(), header_.end(), name);
    if (found == header_.end()) {
        return std::nullopt;
    }
    return static_cast<std::size_t>(found - header_.begin());
}

csv_reader::outcome csv_reader::next() {
    if (lost_) {
        return resynchronise();
    }
    skip_blank_lines();
    record_line_ = next_line_;
    switch (parse_record()) {
    case parsed::end: return outcome::end;
    case parsed::broken: lost_ = true; return outcome::malformed;
    case parsed::record: break;
    }
    consume(record_end_ - start_);
    if (fields_.size() != header_.size()) {
        reason_ =
            "it has " + std::to_string(fields_.size()) + " fields, the header has " + std::to_string(header_.size());
        return outcome::malformed;
    }
    return outcome::record;
}

/// Leaves the broken record's first line, and then every line that does not start a whole record.
csv_reader::outcome csv_reader::resynchronise() {
    while (skip_line()) {
        skip_blank_lines();
        record_line_ = next_line_;
        switch (parse_record()) {
        case parsed::end: lost_ = false; return outcome::end;
        case parsed::record:
            if (fields_.size() == header_.size()) {
                lost_ = false;
                consume(record_end_ - start_);
                return outcome::record;
            }
            break;
        case parsed::broken:
            if (looks_like_a_record()) {
                return outcome::malformed;
            }
            break;
        }
    }
    lost_ = false;
    return outcome::end;
}

csv_reader::parsed csv_reader::parse_record() {
    text_.clear();
    ends_.clear();
    failed_ = false;
    auto at = start_;
    if (!available(at)) {
        return parsed::end;
    }
    do {
        const bool quoted = available(at) && buffer_[at] == '"';
        if (over_limit(at) || !(quoted ? parse_quoted(at) : parse_plain(at))) {
            return parsed::broken;
        }
        ends_.push_back(text_.size());
    } while (next_field(at));
    if (failed_) {
        return parsed::broken;
    }
    record_end_ = at;
    make_fields();
    return parsed::record;
}

/// `at` is at the opening quote, and afterwards behind the closing one.
bool csv_reader::parse_quoted(std::size_t& at) {
    for (++at;; ++at) {
        if (!available(at)) {
            broken("a quote is opened and never closed");
            return false;
        }
        if (over_limit(at)) {
            return false;
        }
        if (buffer_[at] == '"') {
            if (!available(at + 1) || buffer_[at + 1] != '"') {
                ++at;
                return true;
            }
            ++at;
        }
        text_.push_back(buffer_[at]);
    }
}

bool csv_reader::parse_plain(std::size_t& at) {
    for (; available(at); ++at) {
        const char c = buffer_[at];
        if (c == ',' || c == '\n' || (c == '\r' && (!available(at + 1) || buffer_[at + 1] == '\n'))) {
            return true;
        }
        if (c == '"') {
            broken("a quote stands inside a field that does not start with one");
            return false;
        }
        if (over_limit(at)) {
            return false;
        }
        text_.push_back(c);
    }
    return true;
}

bool csv_reader::next_field(std::size_t& at) {
    if (!available(at)) {
        return false;
    }
    if (buffer_[at] == ',') {
        ++at;
        return true;
    }
    if (buffer_[at] == '\r' && (!available(at + 1) || buffer_[at + 1] == '\n')) {
        ++at;
    }
    if (!available(at)) {
        return false;
    }
    if (buffer_[at] == '\n') {
        ++at;
        return false;
    }
    broken("text follows a closing quote");
    return false;
}

bool csv_reader::over_limit(std::size_t at) {
    if (at - start_ < limit_) {
        return false;
    }
    broken("it is longer than " + std::to_string(limit_) + " bytes");
    return true;
}

void csv_reader::broken(std::string reason) {
    reason_ = std::move(reason);
    failed_ = true;
}

/// To the start of the next line; false if there is none.
bool csv_reader::skip_line() {
    for (;;) {
        const auto newline = buffer_.find('\n', start_);
        if (newline != std::string::npos) {
            consume(newline + 1 - start_);
            return available(start_);
        }
        consume(buffer_.size() - start_);
        if (!available(start_)) {
            return false;
        }
    }
}

/// Whether this one line has the commas of a record: then it is malformed in its own right.
bool csv_reader::looks_like_a_record() {
    const auto newline = std::min(buffer_.find('\n', start_), buffer_.size());
    const auto commas = std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(start_),
                                   buffer_.begin() + static_cast<std::ptrdiff_t>(newline), ',');
    return header_.size() > 1 && static_cast<std::size_t>(commas) + 1 >= header_.size();
}

bool csv_reader::available(std::size_t at) {
    while (at >= buffer_.size()) {
        const auto held = buffer_.size();
        buffer_.resize(held + chunk);
        in_.read(buffer_.data() + held, static_cast<std::streamsize>(chunk));
        const auto got = static_cast<std::size_t>(in_.gcount());
        buffer_.resize(held + got);
        if (got == 0) {
            return false;
        }
    }
    return true;
}

void csv_reader::consume(std::size_t bytes) {
    const auto from = buffer_.begin() + static_cast<std::ptrdiff_t>(start_);
    next_line_ += static_cast<std::size_t>(std::count(from, from + static_cast<std::ptrdiff_t>(bytes), '\n'));
    start_ += bytes;
    // Moving the rest down once a chunk keeps the buffer small and the cost even.
    if (start_ >= chunk) {
        buffer_.erase(0, start_);
        start_ = 0;
    }
}

void csv_reader::skip_blank_lines() {
    for (;;) {
        if (available(start_) && buffer_[start_] == '\n') {
            consume(1);
        } else if (available(start_ + 1) && buffer_[start_] == '\r' && buffer_[start_ + 1] == '\n') {
            consume(2);
        } else {
            return;
        }
    }
}

void csv_reader::make_fields() {
    fields_.clear();
    std::size_t from = 0;
    for (const auto end : ends_) {
        fields_.emplace_back(text_.data() + from, end - from);
        from = end;
    }
}

}  // namespace trunkline::stress
