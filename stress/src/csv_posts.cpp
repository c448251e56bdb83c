#include "csv_posts.hpp"

#include "user_error.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <system_error>

namespace trunkline::stress {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> csv_files(const fs::path& directory) {
    std::error_code problem;
    if (!fs::is_directory(directory, problem)) {
        throw user_error("--posts: '" + directory.string() +
                         "' is not a directory; give one that holds CSV files of posts");
    }
    std::vector<fs::path> files;
    for (fs::directory_iterator entry{directory, problem}, end; !problem && entry != end; entry.increment(problem)) {
        if (entry->path().extension() == ".csv" && entry->is_regular_file(problem)) {
            files.push_back(entry->path());
        }
    }
    if (problem) {
        throw user_error("--posts: '" + directory.string() + "' cannot be read (" + problem.message() +
                         "); give a directory that you may read");
    }
    if (files.empty()) {
        throw user_error(
            "--posts: '" + directory.string() +
            "' holds no .csv file; give the directory with the posts, or leave --posts out for synthetic ones");
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

csv_posts::open_file::open_file(const fs::path& path)
    : stream{path, std::ios::binary},
      reader{stream},
      subreddit{path.stem().string()} {
    if (!stream) {
        throw user_error(path.string() + " cannot be opened; make it readable or take it out of the directory");
    }
    if (!is_valid_text(subreddit)) {
        throw user_error(path.string() + ": the file's name is not UTF-8; it names the subreddit, so rename it");
    }
    switch (reader.read_header()) {
    case csv_reader::outcome::end:
        throw user_error(path.string() + " is empty; its first line must name the columns of a post");
    case csv_reader::outcome::malformed:
        throw user_error(path.string() + ": the header is malformed: " + reader.reason() +
                         "; its first line must name the columns of a post");
    case csv_reader::outcome::record: break;
    }
    columns.emplace(reader, path.string());
}

csv_posts::csv_posts(const fs::path& directory, std::function<void(const malformed_record&)> skipped)
    : files_{csv_files(directory)},
      skipped_{std::move(skipped)} {
    for (const auto& file : files_) {
        open_file{file};
    }
}

bool csv_posts::next(post& into) {
    while (current_ || open_next()) {
        switch (current_->reader.next()) {
        case csv_reader::outcome::end: current_.reset(); break;
        case csv_reader::outcome::malformed: skip(current_->reader.line(), current_->reader.reason()); break;
        case csv_reader::outcome::record:
            if (auto problem = current_->columns->convert(current_->reader.fields(), into)) {
                skip(current_->reader.line(), std::move(*problem));
                break;
            }
            into.subreddit = current_->subreddit;
            return true;
        }
    }
    return false;
}

bool csv_posts::open_next() {
    if (next_file_ == files_.size()) {
        return false;
    }
    current_ = std::make_unique<open_file>(files_[next_file_]);
    ++next_file_;
    return true;
}

void csv_posts::skip(std::size_t line, std::string reason) {
    ++malformed_;
    if (skipped_) {
        skipped_({files_[next_file_ - 1].string(), line, std::move(reason)});
    }
}

}  // namespace trunkline::stress
