#pragma once

#include <cstddef>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trunkline::stress {

/// Reads records of RFC 4180 from a stream: fields with commas, doubled quotes and newlines in quotes, lines that end
/// in LF or CRLF, an optional byte order mark. A CR that no LF follows is data; an empty line is no record. Memory is
/// bounded by the record limit, whatever the size of the stream.
///
/// A malformed record is reported once and skipped. Where a quote is wrong nobody knows where the record ends, so the
/// next record is looked for at the following lines: the first that starts a whole record with as many fields as the
/// header. Lines between that could not be a record of their own belong to the damage and are not reported again.
class csv_reader {
public:
    /// Bytes of one record, quotes included; 16 times the longest that Reddit allows.
    static constexpr std::size_t default_record_limit = std::size_t{1} << 20;

    explicit csv_reader(std::istream& in, std::size_t record_limit = default_record_limit);

    enum class outcome {
        record,     ///< `fields()` holds the next record
        malformed,  ///< `reason()` says why the record that starts at `line()` was skipped
        end,        ///< nothing is left
    };

    /// Reads the header; call it first. `end` for an empty stream.
    outcome read_header();
    /// Reads the next record. The fields are valid until the next call.
    outcome next();

    [[nodiscard]] const std::vector<std::string>& header() const noexcept { return header_; }
    /// The number of a column in the header, from 0.
    [[nodiscard]] std::optional<std::size_t> column(std::string_view name) const;
    [[nodiscard]] const std::vector<std::string_view>& fields() const noexcept { return fields_; }
    /// The line on which the record of the last call starts, from 1.
    [[nodiscard]] std::size_t line() const noexcept { return record_line_; }
    [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

private:
    enum class parsed {
        record,
        broken,  ///< where it ends is not known
        end,
    };

    parsed parse_record();
    bool parse_quoted(std::size_t& at);
    bool parse_plain(std::size_t& at);
    /// After a field: the next one (true), or the end of the record (false).
    bool next_field(std::size_t& at);
    bool over_limit(std::size_t at);
    void broken(std::string reason);

    outcome resynchronise();
    bool skip_line();
    [[nodiscard]] bool looks_like_a_record();

    /// Whether there is a byte at `at`; reads more of the stream if need be.
    bool available(std::size_t at);
    void consume(std::size_t bytes);
    void skip_blank_lines();
    void make_fields();

    std::istream& in_;
    const std::size_t limit_;
    std::string buffer_;         ///< from the first byte not consumed
    std::size_t start_ = 0;      ///< of the next record in `buffer_`
    std::size_t next_line_ = 1;  ///< of the stream, at `start_`
    std::size_t record_line_ = 1;
    std::size_t record_end_ = 0;  ///< in `buffer_`, after a record was parsed
    bool lost_ = false;           ///< the last record was broken: look for the next
    bool failed_ = false;         ///< the record under way is broken
    std::string text_;            ///< the record's fields one behind the other, without quotes
    std::vector<std::size_t> ends_;
    std::vector<std::string_view> fields_;
    std::vector<std::string> header_;
    std::string reason_;
};

}  // namespace trunkline::stress
