#pragma once

#include "csv_reader.hpp"
#include "post.hpp"
#include "post_columns.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace trunkline::stress {

/// A record that was skipped.
struct malformed_record {
    std::string file;
    std::size_t line = 0;
    std::string reason;
};

/// The posts of a directory of CSV files, one file a subreddit, in the order of the files' names.
class csv_posts final : public post_source {
public:
    /// Opens every file and checks its header, so that a run never fails half-way. Throws `user_error` if the directory
    /// cannot be read, holds no CSV file, or a file lacks a column. `skipped` hears of each malformed record.
    explicit csv_posts(const std::filesystem::path& directory,
                       std::function<void(const malformed_record&)> skipped = {});

    bool next(post& into) override;

    [[nodiscard]] std::size_t files() const noexcept { return files_.size(); }
    [[nodiscard]] std::uint64_t malformed() const noexcept { return malformed_; }

private:
    struct open_file {
        explicit open_file(const std::filesystem::path& path);
        std::ifstream stream;
        csv_reader reader;
        std::optional<post_columns> columns;
        std::string subreddit;
    };

    bool open_next();
    void skip(std::size_t line, std::string reason);

    std::vector<std::filesystem::path> files_;
    std::size_t next_file_ = 0;
    std::unique_ptr<open_file> current_;
    std::function<void(const malformed_record&)> skipped_;
    std::uint64_t malformed_ = 0;
};

}  // namespace trunkline::stress
